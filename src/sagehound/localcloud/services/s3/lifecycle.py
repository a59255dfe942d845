"""Lifecycle rules: what is checked when they are put, and the rounds in which they expire objects and uploads."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from sagehound.localcloud.errors import not_implemented
from sagehound.localcloud.services.s3.deleting import Deleting
from sagehound.localcloud.services.s3.errors import invalid_argument, invalid_request, malformed_xml
from sagehound.localcloud.services.s3.listing import after_prefix
from sagehound.localcloud.services.s3.multipart import Multipart
from sagehound.localcloud.services.s3.records import Bucket, BucketTable, ObjectTable, ObjectVersion
from sagehound.localcloud.state.clock import Clock

Rule = dict[str, Any]
_DAY = 86_400.0
_PAGE = 500
_ACTIONS = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")


def check_rules(rules: list[Rule]) -> list[Rule]:
    """The rules, with ids; refused when they are malformed or ask for storage classes, which are all one disk here."""
    if not 1 <= len(rules) <= 1000:
        raise malformed_xml()
    checked = [{"ID": rule.get("ID") or secrets.token_urlsafe(36)[:48], **rule} for rule in rules]
    if len({rule["ID"] for rule in checked}) != len(checked):
        raise invalid_argument("Rule ID must be unique. Found same ID for more than one rule")
    for rule in checked:
        if rule.get("Transitions") or rule.get("NoncurrentVersionTransitions"):
            raise not_implemented("s3", "lifecycle transitions: all storage classes are one disk here")
        if not any(rule.get(action) for action in _ACTIONS):
            raise invalid_request("At least one action needs to be specified in a rule")
        if ("Prefix" in rule) == ("Filter" in rule):
            raise malformed_xml()
        days = rule.get("Expiration", {}).get("Days")
        if days is not None and days <= 0:
            raise invalid_argument("'Days' for Expiration action must be a positive integer")
    return checked


class LifecycleRounds:
    """Carries out the rules of all buckets, once a round."""

    def __init__(
        self, buckets: BucketTable, objects: ObjectTable, deleting: Deleting, multipart: Multipart, clock: Clock
    ) -> None:
        self._buckets = buckets
        self._objects = objects
        self._deleting = deleting
        self._multipart = multipart
        self._clock = clock

    def run(self) -> Iterator[None]:
        """One round; yields after each step, so that requests get their turn."""
        for bucket in self._buckets.all():
            for rule in bucket.get("LifecycleRules", ()):
                if rule["Status"] == "Enabled":
                    yield from self._apply(bucket, rule)

    def _apply(self, bucket: Bucket, rule: Rule) -> Iterator[None]:
        prefix = _prefix(rule)
        days = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
        if days is not None:
            self._multipart.abort_older(bucket["Name"], prefix, self._clock.time() - days * _DAY)
            yield
        low, below, high = prefix, None, after_prefix(prefix)
        newer: ObjectVersion | None = None
        kept = 0
        while True:
            versions = self._objects.versions_from(bucket["Name"], low, below, high, _PAGE)
            for version in versions:
                if newer is None or newer.key != version.key:
                    newer, kept = None, 0
                kept += not version.is_latest
                if _selects(rule, version):
                    self._expire(bucket, rule, version, newer, kept)
                newer = version
                yield
            if len(versions) < _PAGE:
                return
            low, below = versions[-1].key, versions[-1].id

    def _expire(
        self, bucket: Bucket, rule: Rule, version: ObjectVersion, newer: ObjectVersion | None, noncurrent: int
    ) -> None:
        """Apply one rule to one version: a latest one expires by its age, others by the age of what replaced them."""
        now = self._clock.time()
        expiration = rule.get("Expiration", {})
        if version.is_latest and not version.is_delete_marker:
            date = expiration.get("Date")
            days = expiration.get("Days")
            due = date is not None and now >= date.timestamp()
            if due or (days is not None and now - version.last_modified >= days * _DAY):
                self._deleting.expire(bucket, version.key)
        elif version.is_latest and expiration.get("ExpiredObjectDeleteMarker"):
            if self._objects.is_alone(version):
                self._deleting.delete_for_good(version)
        elif not version.is_latest and newer is not None and "NoncurrentVersionExpiration" in rule:
            wanted = rule["NoncurrentVersionExpiration"]
            old = now - newer.last_modified >= wanted.get("NoncurrentDays", 0) * _DAY
            if old and noncurrent > wanted.get("NewerNoncurrentVersions", 0):
                self._deleting.delete_for_good(version)


def _prefix(rule: Rule) -> str:
    chosen = rule.get("Filter", {})
    prefix: str = rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or ""
    return prefix


def _selects(rule: Rule, version: ObjectVersion) -> bool:
    """Whether the tags and sizes of a rule's filter fit a version (its prefix does already)."""
    chosen = rule.get("Filter", {})
    chosen = {**chosen, **chosen.get("And", {})}
    tags = [*chosen.get("Tags", ()), *([chosen["Tag"]] if chosen.get("Tag") else ())]
    if any({"Key": tag["Key"], "Value": tag["Value"]} not in version.tags for tag in tags):
        return False
    if version.size <= chosen.get("ObjectSizeGreaterThan", -1):
        return False
    below = chosen.get("ObjectSizeLessThan")
    return below is None or version.size < below
