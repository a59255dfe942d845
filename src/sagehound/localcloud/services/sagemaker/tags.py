"""AddTags, ListTags, DeleteTags for every SageMaker resource, by ARN."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.sagemaker import paging
from sagehound.localcloud.state.store import Store

Tag = dict[str, str]

_KIND = "sagemaker:tags"
_LIMIT = 50
_DEFAULT_PAGE = 50


class Tags:
    """The tags of resources. A resource's Create calls `create` and its Delete `delete`, in the same transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, arn: str, tags: list[Tag] | None) -> None:
        """Note that the resource exists, with the Tags of its Create request."""
        self._write(arn, _checked(tags or []))

    def check(self, tags: list[Tag] | None) -> None:
        """Refuse tags that `create` would refuse, before anything is stored."""
        _checked(tags or [])

    def delete(self, arn: str) -> None:
        """Forget the resource."""
        self._store.delete(_KIND, "", arn)

    def of(self, arn: str) -> list[Tag]:
        """The tags of a resource, in the order of their keys."""
        record = self._store.get(_KIND, "", arn)
        if record is None:
            raise validation(f"Could not find resource with ARN {arn}. Requested resource not found.")
        return [{"Key": key, "Value": value} for key, value in sorted(record["Tags"].items())]

    def resource_tags(self, arn: str) -> dict[str, str]:
        """The tags of a resource, for conditions of policies; none when there is no such resource."""
        record = self._store.get(_KIND, "", arn)
        return {} if record is None else dict(record["Tags"])

    def AddTags(self, call: Call, request: Request) -> Response:
        """Add tags; a key that is there gets the new value."""
        arn = call.resource = request["ResourceArn"]
        merged = {tag["Key"]: tag["Value"] for tag in self.of(arn)} | _checked(request["Tags"])
        if len(merged) > _LIMIT:
            raise validation(f"The number of tags of {arn} would exceed the limit of {_LIMIT}.")
        self._write(arn, merged)
        return {"Tags": self.of(arn)}

    def ListTags(self, call: Call, request: Request) -> Response:
        """The tags, fifty a page."""
        arn = call.resource = request["ResourceArn"]
        asked = {"MaxResults": _DEFAULT_PAGE, **request}
        return paging.page(self.of(arn), asked, "Tags", "Key", lambda tag: tag)

    def DeleteTags(self, call: Call, request: Request) -> Response:
        """Remove keys; one that is not there is no error."""
        arn = call.resource = request["ResourceArn"]
        gone = set(request["TagKeys"])
        self._write(arn, {tag["Key"]: tag["Value"] for tag in self.of(arn) if tag["Key"] not in gone})
        return {}

    def _write(self, arn: str, tags: dict[str, str]) -> None:
        record: dict[str, Any] = {"Arn": arn, "Tags": tags}
        self._store.put(_KIND, "", arn, record)


def _checked(tags: list[Tag]) -> dict[str, str]:
    found = {tag["Key"]: tag["Value"] for tag in tags}
    if len(found) < len(tags):
        raise validation("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    reserved = [key for key in found if key.lower().startswith("aws:")]
    if reserved:
        raise validation(f"Tag keys starting with 'aws:' are reserved for system use: {', '.join(reserved)}.")
    if len(found) > _LIMIT:
        raise validation(f"The number of tags exceeds the limit of {_LIMIT}.")
    return found
