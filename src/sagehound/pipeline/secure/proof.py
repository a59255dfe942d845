"""The proof, asked of IAM itself: every call of the run is allowed, every other action of its services is denied."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagehound.pipeline.secure import catalogue
from sagehound.pipeline.secure.conditions import Entry, context_for, sample
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.statements import Document, Statement, statements_of
from sagehound.pipeline.secure.used import Usage

Simulate = Callable[[list[str], list[str], list[Entry]], Mapping[tuple[str, str], bool]]
"""(actions, resources, context) -> whether each action is allowed on each resource."""
_ACTIONS_AT_ONCE = 100
_RESOURCES_AT_ONCE = 50


@dataclass
class Proof:
    """What IAM said."""

    applied: bool
    """Whether it was asked of the role as it is; otherwise of the policies that would be written."""
    allowed: list[tuple[str, str]] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    """Every other action of the services concerned."""
    elsewhere: list[tuple[str, str]] = field(default_factory=list)
    """What is allowed, asked on another resource, and denied there."""
    failures: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The figures in a sentence."""
        would = "" if self.applied else "would be "
        said = f"{len(self.allowed):,} calls {would}allowed, {len(self.denied):,} other actions {would}denied"
        if self.elsewhere:
            said += f", {len(self.elsewhere):,} {would}denied on another resource"
        if self.unproved:
            said += f", {len(self.unproved):,} not proved"
        return f"{said}, {len(self.failures):,} WRONG" if self.failures else said

    def as_dict(self) -> dict[str, Any]:
        """The proof for machines."""
        return {
            "applied": self.applied,
            "allowed": [list(pair) for pair in self.allowed],
            "denied": self.denied,
            "denied_elsewhere": [list(pair) for pair in self.elsewhere],
            "failures": self.failures,
            "unproved": self.unproved,
        }


def of_role(iam: Any, role: Role) -> Simulate:
    """Ask IAM about the role as it is now."""
    return _asking(
        lambda **more: iam.get_paginator("simulate_principal_policy").paginate(PolicySourceArn=role.arn, **more)
    )


def of_documents(iam: Any, documents: Iterable[Document]) -> Simulate:
    """Ask IAM about policies that nobody holds yet."""
    listed = [json.dumps(document) for document in documents]
    return _asking(lambda **more: iam.get_paginator("simulate_custom_policy").paginate(PolicyInputList=listed, **more))


def prove(simulate: Simulate, documents: Iterable[Document], usage: Usage, *, applied: bool) -> Proof:
    """Ask for every used permission that the documents are to allow, and for everything else of the same services."""
    allowing = [one for document in documents for one in statements_of(document) if one.is_allow]
    proof = Proof(applied)
    _still_allowed(simulate, allowing, usage, proof)
    _others_denied(simulate, allowing, proof)
    _denied_elsewhere(simulate, allowing, proof)
    return proof


def _still_allowed(simulate: Simulate, allowing: list[Statement], usage: Usage, proof: Proof) -> None:
    questions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for action, resource in sorted(usage.uses):
        covering = [
            one for one in allowing if one.names_action(action) and (not resource or one.covers_resource(resource))
        ]
        if not covering:
            continue  # a bucket's or a function's own policy allowed it, or nothing does any more
        asked = resource or next((pattern for one in covering for pattern in one.resources), "*")
        contexts = [context_for(one.condition) for one in covering]
        known = [json.dumps(context) for context in contexts if context is not None]
        if known:
            questions[action, min(known, key=len)].append(sample(asked))
        else:
            proof.unproved.append(f"{action} on {asked}: its condition cannot be filled from the policy")
    for (action, context), resources in questions.items():
        for asked_now in _chunks(resources, _RESOURCES_AT_ONCE):
            for pair, allowed in simulate([action], asked_now, json.loads(context)).items():
                if allowed:
                    proof.allowed.append(pair)
                else:
                    proof.failures.append(f"{action} on {pair[1]} was called by the run and is denied")


def _others_denied(simulate: Simulate, allowing: list[Statement], proof: Proof) -> None:
    """Asked on the service's resources that the policies name: where they grant anything of it, it is there."""
    named = sorted({sample(pattern) for one in allowing for pattern in one.resources} - {"*"})
    granted = {action for one in allowing for action in catalogue.granted_by(one)}
    for service in sorted({catalogue.service_of(action) for action in granted}):
        resources = ["*", *(resource for resource in named if resource.split(":")[2:3] in ([service], ["*"]))]
        others = [action for action in catalogue.actions_of(service) if action not in granted]
        for actions in _chunks(others, _ACTIONS_AT_ONCE):
            open_to = {action for (action, _), allowed in simulate(actions, resources, []).items() if allowed}
            proof.failures += [f"{action} is not needed and is allowed" for action in sorted(open_to)]
            proof.denied += [action for action in actions if action not in open_to]


def _denied_elsewhere(simulate: Simulate, allowing: list[Statement], proof: Proof) -> None:
    questions: dict[str, set[str]] = defaultdict(set)
    for statement in allowing:
        for pattern in statement.resources:
            other = _neighbour(pattern)
            for action in catalogue.granted_by(statement) if other else ():
                if not any(one.names_action(action) and one.covers_resource(other) for one in allowing):
                    questions[other].add(action)
    for other, actions in sorted(questions.items()):
        for (action, resource), allowed in simulate(sorted(actions), [other], []).items():
            if allowed:
                proof.failures.append(f"{action} is allowed on {resource}, which the run did not touch")
            else:
                proof.elsewhere.append((action, resource))


def _neighbour(pattern: str) -> str:
    """A resource of the same kind under another name; empty for "*"."""
    parts = sample(pattern).split(":", 5)
    if len(parts) < 6:
        return ""
    if parts[2] == "s3":
        return ":".join([*parts[:5], f"elsewhere-{parts[5]}"])
    separator = min((mark for mark in (":", "/") if mark in parts[5]), key=parts[5].index, default="")
    kind, _, name = parts[5].partition(separator) if separator else ("", "", parts[5])
    return ":".join([*parts[:5], f"{kind}{separator}elsewhere-{name.lstrip('/')}"])


def _asking(pages: Callable[..., Any]) -> Simulate:
    def simulate(actions: list[str], resources: list[str], context: list[Entry]) -> dict[tuple[str, str], bool]:
        found: dict[tuple[str, str], bool] = {}
        more = {"ContextEntries": context} if context else {}
        for page in pages(ActionNames=actions, ResourceArns=resources, **more):
            for result in page["EvaluationResults"]:
                found |= _decisions(result)
        return found

    return simulate


def _decisions(result: Mapping[str, Any]) -> dict[tuple[str, str], bool]:
    """One action's verdict on each resource; IAM lists the resources inside where it was asked about several."""
    action = result["EvalActionName"]
    inside = result.get("ResourceSpecificResults") or []
    found = {(action, one["EvalResourceName"]): one["EvalResourceDecision"] == "allowed" for one in inside}
    return found or {(action, result.get("EvalResourceName", "*")): result["EvalDecision"] == "allowed"}


def _chunks(values: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
