"""From a line of the record to an event: the members that LookupEvents answers, and the CloudTrailEvent inside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.services.cloudtrail import names
from sagehound.localcloud.services.cloudtrail.names import Resource
from sagehound.localcloud.state import arns

Fields = dict[str, Any]
"""A record as the gateway writes it."""
_EVENT_VERSION = "1.11"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the history."""

    region: str
    resources: list[Resource]
    members: Fields
    """As LookupEvents answers them."""


def event(fields: Fields, account_id: str) -> Event | None:
    """The event of a call; None for one whose caller could not be told: CloudTrail records nothing of those."""
    service, _, operation = str(fields.get("action", "")).partition(":")
    if not operation or "caller" not in fields:
        return None
    region = names.GLOBAL_REGION if service == "iam" else str(fields.get("region") or names.GLOBAL_REGION)
    moment = datetime.fromtimestamp(int(fields["time"]), UTC)
    arns_named = dict.fromkeys(
        [str(fields.get("resource", "")), *(one["resource"] for one in fields.get("authorised", []))]
    )
    found = list(dict.fromkeys(resource for arn in arns_named for resource in names.resources(arn)))
    read_only = names.only_reads(operation)
    identity = _identity(fields, account_id)
    members = {
        "EventId": fields["request_id"],
        "EventName": operation,
        "ReadOnly": str(read_only).lower(),
        "EventTime": moment,
        "EventSource": names.source(service),
        "Resources": [{"ResourceType": one.type, "ResourceName": one.name} for one in found],
    }
    if identity["userName"]:
        members["Username"] = identity["userName"]
    if fields.get("access_key_id"):
        members["AccessKeyId"] = fields["access_key_id"]
    document = {
        "eventVersion": _EVENT_VERSION,
        "userIdentity": _told(identity),
        "eventTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": members["EventSource"],
        "eventName": operation,
        "awsRegion": region,
        "sourceIPAddress": fields.get("via") or fields.get("source"),
        "userAgent": fields.get("via") or fields.get("user_agent"),
        **_error(fields),
        "requestParameters": None,
        "responseElements": None,
        **_authorizations(fields),
        "requestID": fields["request_id"],
        "eventID": members["EventId"],
        "readOnly": read_only,
        "resources": [{"ARN": one.arn, "type": one.type, "accountId": account_id} for one in found],
        "eventType": "AwsApiCall",
        **_category(service, operation, str(fields.get("resource", ""))),
        "recipientAccountId": account_id,
    }
    members["CloudTrailEvent"] = json.dumps(document)
    return Event(region, found, members)


def _identity(fields: Fields, account_id: str) -> Fields:
    """userIdentity: root, a user, the session of a role with its issuer, or nobody that is known.

    `userName` is what LookupEvents calls the caller: of a session its own name, which userIdentity does not have.
    """
    arn = str(fields["caller"])
    if not arn:
        return {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL", "userName": ""}
    identity: Fields = {"arn": arn, "accountId": account_id}
    if fields.get("principal_id"):
        identity["principalId"] = fields["principal_id"]
    if fields.get("access_key_id"):
        identity["accessKeyId"] = fields["access_key_id"]
    if fields.get("via"):
        identity["invokedBy"] = fields["via"]
    try:
        parts = arns.parse(arn)
    except ValueError:
        return {"type": "Unknown", "userName": "", **identity}
    kind, _, name = parts.resource.partition("/")
    if kind == "root":
        return {"type": "Root", "userName": "root", **identity}
    if kind == "assumed-role":
        role, _, session = name.partition("/")
        issuer = fields.get("session_issuer") or arns.make("iam", "", account_id, f"role/{role}")
        told = {"type": "Role", "arn": issuer, "accountId": account_id, "userName": role}
        if ":" in identity.get("principalId", ""):
            told["principalId"] = identity["principalId"].partition(":")[0]
        return {"type": "AssumedRole", "userName": session, **identity, "sessionContext": {"sessionIssuer": told}}
    return {"type": "IAMUser", "userName": name.rpartition("/")[2], **identity}


def _told(identity: Fields) -> Fields:
    """userIdentity without the name where AWS has none."""
    if identity["type"] == "IAMUser":
        return identity
    return {member: value for member, value in identity.items() if member != "userName"}


def _error(fields: Fields) -> Fields:
    if not fields.get("error"):
        return {}
    return {"errorCode": fields["error"], "errorMessage": fields.get("message", "")}


def _authorizations(fields: Fields) -> Fields:
    """Which policies decided, where IAM was asked: an addition of this cloud, where AWS keeps such additions."""
    decided = fields.get("authorised")
    return {"additionalEventData": {"authorizations": decided}} if decided else {}


def _category(service: str, operation: str, resource: str) -> Fields:
    data = names.is_data_event(service, operation, resource)
    return {"managementEvent": not data, "eventCategory": "Data" if data else "Management"}
