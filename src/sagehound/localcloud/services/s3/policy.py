"""Bucket policies: kept, checked for their form, and refused when Block Public Access says so.

Who they let in is decided where every call is (authorization/).
"""

from __future__ import annotations

import json
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.errors import access_denied
from sagehound.localcloud.services.s3.records import BucketTable

_MAX_POLICY = 20 * 1024
_NARROWING = frozenset(
    (
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    )
)
_POSITIVE = ("stringequals", "stringlike", "arnequals", "arnlike", "ipaddress")


class Policies:
    """Put, get, delete a bucket's policy, and whether it is public."""

    def __init__(self, buckets: BucketTable) -> None:
        self._buckets = buckets

    def PutBucketPolicy(self, call: Call, request: Request) -> Response:
        """MalformedPolicy for what is no policy about this bucket; AccessDenied for a public one under a block."""
        bucket = self._buckets.require(request)
        policy = check_policy(request["Policy"], bucket["Name"])
        blocks = bucket.get("PublicAccessBlockConfiguration", {})
        if is_public(policy) and blocks.get("BlockPublicPolicy"):
            raise access_denied()
        self._buckets.save({**bucket, "Policy": request["Policy"]})
        return {}

    def GetBucketPolicy(self, call: Call, request: Request) -> Response:
        """The text as it was put."""
        return {"Policy": self._policy(request)}

    def GetBucketPolicyStatus(self, call: Call, request: Request) -> Response:
        """Whether the policy lets everybody in."""
        return {"PolicyStatus": {"IsPublic": is_public(json.loads(self._policy(request)))}}

    def DeleteBucketPolicy(self, call: Call, request: Request) -> Response:
        """Remove the policy."""
        bucket = self._buckets.require(request)
        self._buckets.save({name: value for name, value in bucket.items() if name != "Policy"})
        return {}

    def _policy(self, request: Request) -> str:
        bucket = self._buckets.require(request)
        if "Policy" not in bucket:
            members = {"BucketName": bucket["Name"]}
            raise AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", 404, members=members)
        return str(bucket["Policy"])


def check_policy(text: str, bucket: str) -> dict[str, Any]:
    """The document; MalformedPolicy when a field is missing or a resource is not of this bucket."""
    if len(text.encode()) > _MAX_POLICY:
        raise _malformed("Policies must be no larger than 20 KB")
    try:
        policy = json.loads(text)
    except ValueError as error:
        raise _malformed("Policies must be valid JSON and the first byte must be '{'") from error
    if not isinstance(policy, dict):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if policy.get("Version") not in (None, "2012-10-17", "2008-10-17"):
        raise _malformed("The policy must contain a valid version string")
    if not policy.get("Statement"):
        raise _malformed("Missing required field Statement")
    for statement in _list(policy["Statement"]):
        _check_statement(statement, bucket)
    return policy


def is_public(policy: dict[str, Any]) -> bool:
    """Whether a statement allows something to everybody, without a condition that narrows that to somebody.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
    """
    return any(
        statement.get("Effect") == "Allow" and _is_everybody(statement) and not _narrows(statement.get("Condition"))
        for statement in _list(policy["Statement"])
    )


def _narrows(condition: Any) -> bool:
    """A condition on where somebody comes from or who it is, with values that are fixed."""
    if not isinstance(condition, dict):
        return False
    return any(
        key.lower() in _NARROWING and not any(set(str(value)) & {"*", "?", "$"} for value in _list(values))
        for operator, keys in condition.items()
        if operator.lower().startswith(_POSITIVE) and not operator.lower().endswith("ifexists")
        for key, values in keys.items()
        if key.lower() != "aws:sourceip" or not any(str(value).endswith("/0") for value in _list(values))
    )


def _check_statement(statement: Any, bucket: str) -> None:
    if not isinstance(statement, dict):
        raise _malformed("Policy document is malformed")
    for names in (("Effect",), ("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
        if not any(name in statement for name in names):
            raise _malformed(f"Missing required field {names[0]}")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise _malformed(f"Invalid effect: {statement['Effect']}")
    for action in _list(statement.get("Action", [])):
        if action != "*" and not str(action).lower().startswith("s3:"):
            raise _malformed("Policy has invalid action")
    own = f"arn:aws:s3:::{bucket}"
    for resource in _list(statement.get("Resource", [])):
        if resource != own and not str(resource).startswith((f"{own}/", f"{own}*")):
            raise _malformed("Policy has invalid resource")


def _is_everybody(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return "*" in _list(named) or "NotPrincipal" in statement


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPolicy", message, 400)
