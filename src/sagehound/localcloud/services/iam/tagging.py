"""Tags of users, roles, policies and instance profiles."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import limits, records
from sagehound.localcloud.state.store import Store

Tags = list[dict[str, Any]]


def checked(tags: Tags) -> Tags:
    """The tags of a new resource: no key twice (in whatever case), at most fifty, none of AWS's own."""
    keys = [tag["Key"].lower() for tag in tags]
    if len(keys) != len(set(keys)):
        raise AwsError("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in keys):
        raise AwsError("InvalidInput", "Tag keys starting with aws: are reserved for system use.")
    if len(tags) > limits.TAGS_PER_RESOURCE:
        message = f"The number of tags has reached the maximum limit of {limits.TAGS_PER_RESOURCE}."
        raise AwsError("LimitExceeded", message, 409)
    return [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags]


def merged(tags: Tags, added: Tags) -> Tags:
    """`tags` with `added` set."""
    names = {tag["Key"].lower() for tag in checked(added)}
    return checked([*(tag for tag in tags if tag["Key"].lower() not in names), *added])


def without(tags: Tags, keys: list[str]) -> Tags:
    """`tags` without `keys`."""
    removed = {key.lower() for key in keys}
    return [tag for tag in tags if tag["Key"].lower() not in removed]


def add(store: Store, kind: str, name: str, request: Request) -> Response:
    """TagUser, TagRole, TagInstanceProfile: set the request's tags."""
    record = records.get(store, kind, name)
    record["Tags"] = merged(record["Tags"], request["Tags"])
    records.put(store, kind, name, record)
    return {}


def remove(store: Store, kind: str, name: str, request: Request) -> Response:
    """UntagUser, UntagRole, UntagInstanceProfile: remove the request's keys."""
    record = records.get(store, kind, name)
    record["Tags"] = without(record["Tags"], request["TagKeys"])
    records.put(store, kind, name, record)
    return {}


def listed(store: Store, kind: str, name: str, request: Request) -> Response:
    """ListUserTags, ListRoleTags, ListInstanceProfileTags: a page of them."""
    return records.page(request, "Tags", records.get(store, kind, name)["Tags"], lambda tag: tag["Key"])
