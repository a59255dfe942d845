"""Policy documents as statements: what each allows or denies, read leniently, since IAM has checked them already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sagehound.pipeline.secure.patterns import covers, covers_action, meet

Document = dict[str, Any]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy; of Action and NotAction (Resource and NotResource) one is there."""

    raw: Mapping[str, Any]
    number: int

    @property
    def name(self) -> str:
        """Its Sid, or its place in the document, counted from one."""
        return str(self.raw.get("Sid") or f"statement {self.number}")

    @property
    def is_allow(self) -> bool:
        """Whether it allows (the other kind denies)."""
        return self.raw.get("Effect") == "Allow"

    @cached_property
    def actions(self) -> list[str]:
        """The patterns of Action."""
        return texts(self.raw.get("Action"))

    @cached_property
    def not_actions(self) -> list[str]:
        """The patterns of NotAction."""
        return texts(self.raw.get("NotAction"))

    @cached_property
    def resources(self) -> list[str]:
        """The patterns of Resource."""
        return texts(self.raw.get("Resource"))

    @cached_property
    def not_resources(self) -> list[str]:
        """The patterns of NotResource."""
        return texts(self.raw.get("NotResource"))

    @property
    def condition(self) -> Mapping[str, Any]:
        """Its Condition; empty where it has none."""
        return self.raw.get("Condition") or {}

    def principals(self, kind: str) -> list[str]:
        """The principals of a kind ("AWS", "Service" ...); `"Principal": "*"` is the AWS principal *."""
        principal = self.raw.get("Principal")
        if isinstance(principal, Mapping):
            return texts(principal.get(kind))
        return texts(principal) if kind == "AWS" else []

    def names_action(self, action: str) -> bool:
        """Whether its Action or NotAction takes this action in."""
        if "NotAction" in self.raw:
            return not any(covers_action(pattern, action) for pattern in self.not_actions)
        return any(covers_action(pattern, action) for pattern in self.actions)

    def covers_resource(self, resource: str) -> bool:
        """Whether its Resource or NotResource takes in all that ``resource`` stands for."""
        if "NotResource" in self.raw:
            # "*" is what a call that has no resource is asked with, and is then no pattern.
            touched = covers if resource == "*" else meet
            return not any(touched(pattern, resource) for pattern in self.not_resources)
        return any(covers(pattern, resource) for pattern in self.resources)


@dataclass(frozen=True)
class Policy:
    """One policy of a role: inline (no ARN), the customer's own, or one of AWS's."""

    name: str
    document: Document
    arn: str = ""

    @cached_property
    def statements(self) -> list[Statement]:
        """Its statements in order."""
        return statements_of(self.document)

    @property
    def kind(self) -> str:
        """What a reader calls it."""
        if not self.arn:
            return "inline policy"
        return "AWS managed policy" if ":iam::aws:policy/" in self.arn else "managed policy"


def statements_of(document: Mapping[str, Any] | None) -> list[Statement]:
    """The statements of a document in order; a single one need not stand in a list."""
    found = (document or {}).get("Statement", [])
    listed = found if isinstance(found, list) else [found]
    return [Statement(raw, number) for number, raw in enumerate(listed, 1)]


def texts(value: Any) -> list[str]:
    """A member that may be one text or several, as a list."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def as_document(value: Any) -> Document:
    """A policy as botocore gives it: decoded for IAM, JSON text for the policies of buckets and functions."""
    found: Document = json.loads(value) if isinstance(value, str) else value
    return found


def member(values: list[str]) -> str | list[str]:
    """A list as policies are written: alone where it is one value."""
    return values[0] if len(values) == 1 else values
