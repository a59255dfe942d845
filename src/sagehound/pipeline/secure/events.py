"""One CloudTrail event as uses of permissions: by whose role, which actions, on what, and whether they were allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.secure import catalogue

_PREFIX = {"monitoring": "cloudwatch", "tagging": "tag", "cloudwatch": "cloudwatch"}
_ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeAsync": "lambda:InvokeFunction",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
"""Events whose name is not that of the permission (S3 and Lambda are the services where they differ)."""

_DATED = re.compile(r"\d{8}(?:v\d)?$")
_SESSION = re.compile(r"^arn:(aws[\w-]*):sts::(\d{12}):assumed-role/(.+)/[^/]+$")

DATA_EVENTS: Mapping[str, tuple[str, ...]] = {
    "s3": ("object", "accesspointobject"),
    "dynamodb": ("table", "index", "stream"),
}
"""Services whose actions on these resources are data events."""

UNSEEN = frozenset(
    {
        *("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"),
        *("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync", "sagemaker:InvokeEndpointWithResponseStream"),
        *("sagemaker:BatchGetRecord", "sagemaker:GetRecord", "sagemaker:PutRecord", "sagemaker:DeleteRecord"),
        *("sagemaker:BatchPutMetrics", "lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "lambda:InvokeAsync"),
        *("logs:PutLogEvents", "logs:GetLogEvents", "logs:FilterLogEvents", "cloudwatch:PutMetricData"),
        *("cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics", "xray:PutTraceSegments"),
        *("xray:PutTelemetryRecords", "sns:Publish", "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"),
        *("kinesis:GetRecords", "kinesis:PutRecord", "kinesis:PutRecords", "events:PutEvents", "iam:PassRole"),
    }
)
"""Permissions whose use LookupEvents does not show on AWS: data events need a trail, and iam:PassRole is no call."""


@dataclass(frozen=True)
class Use:
    """A permission that a call needed."""

    action: str
    resource: str
    """ARN, a pattern of ARNs, "*" where the action has no resource, or "" where the event does not say."""
    allowed: bool
    policy: str = ""
    statement: str = ""


def unseen(action: str) -> bool:
    """Whether AWS's event history says nothing of the use of an action."""
    kinds = DATA_EVENTS.get(catalogue.service_of(action), ())
    return catalogue.spelled(action) in UNSEEN or any(kind in kinds for kind in catalogue.resource_types(action))


def role_of(event: Mapping[str, Any]) -> str:
    """The ARN of the role whose session called; empty for users, root and services."""
    identity = event.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    if issuer.get("type", "Role") == "Role" and issuer.get("arn"):
        return str(issuer["arn"])
    session = _SESSION.match(str(identity.get("arn", "")))
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else ""


def uses_of(event: Mapping[str, Any]) -> list[Use]:
    """What an event's call needed: as its authorizations say, or on AWS from its name and its resources."""
    decided = (event.get("additionalEventData") or {}).get("authorizations")
    if decided is not None:
        return [_decided(entry) for entry in decided]
    action = _action_of(event)
    if action is None:
        return []
    allowed = not any(word in str(event.get("errorCode", "")) for word in ("AccessDenied", "UnauthorizedOperation"))
    if not catalogue.takes_resource(action):
        return [Use(action, "*", allowed)]
    named = [str(entry.get("ARN") or entry.get("arn") or "") for entry in event.get("resources") or []]
    return [Use(action, resource, allowed) for resource in filter(None, named)] or [Use(action, "", allowed)]


def action_named(source: str, operation: str) -> str | None:
    """The permission that an operation of a service needs; None where AWS lists no such action."""
    return _action_of({"eventSource": source, "eventName": operation})


def parsed(text: str) -> dict[str, Any]:
    """CloudTrailEvent, which is JSON in a text."""
    found: dict[str, Any] = json.loads(text)
    return found


def _decided(entry: Mapping[str, Any]) -> Use:
    return Use(
        action=catalogue.spelled(str(entry["action"])),
        resource=str(entry.get("resource") or "*"),
        allowed=entry.get("verdict") == "allowed",
        policy=str(entry.get("policy") or ""),
        statement=str(entry.get("statement") or ""),
    )


def _action_of(event: Mapping[str, Any]) -> str | None:
    """The permission that an event is about; None where AWS lists no such action."""
    source = str(event.get("eventSource", "")).removesuffix(".amazonaws.com")
    name = f"{_PREFIX.get(source, source)}:{_DATED.sub('', str(event.get('eventName', '')))}"
    action = _ACTIONS.get(name, name)
    return catalogue.spelled(action) if catalogue.details(action) is not None else None
