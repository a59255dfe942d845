"""The condition keys that every request has: who asks, from where, when, with what."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping

from sagehound.localcloud.authorization.check import Value, bool_text
from sagehound.localcloud.call import Call, Caller, HttpRequest
from sagehound.localcloud.state import arns


def of_principal(caller: Caller, tags: Mapping[str, str]) -> dict[str, Value]:
    """The keys about who asks. A caller without an ARN is nobody."""
    if not caller.arn:
        return {"aws:principaltype": "Anonymous", "aws:userid": "anonymous", "aws:principalisawsservice": "false"}
    keys: dict[str, Value] = {
        "aws:principalarn": caller.session.get("RoleArn", caller.arn),  # policies call a session by its role
        "aws:principalaccount": caller.account_id,
        "aws:userid": caller.user_id,
        "aws:principaltype": _type(caller),
        "aws:principalisawsservice": "false",
        **{f"aws:principaltag/{key}": value for key, value in tags.items()},
    }
    resource = arns.parse(caller.arn).resource
    if resource.startswith("user/"):
        keys["aws:username"] = resource.rpartition("/")[2]
    if caller.session:
        # Long-term keys say nothing of a second factor; sessions are without one here.
        keys["aws:multifactorauthpresent"] = "false"
        for member, key in (("TokenIssueTime", "aws:tokenissuetime"), ("SourceIdentity", "aws:sourceidentity")):
            if member in caller.session:
                keys[key] = caller.session[member]
    return keys


def of_call(call: Call, now: float) -> dict[str, Value]:
    """The keys about a call: its message, its moment, its place."""
    return {**of_request(call.http), **of_moment(now, call.region, call.account_id)}


def of_request(http: HttpRequest) -> dict[str, Value]:
    """The keys about the HTTP message."""
    headers = http.headers
    keys: dict[str, Value] = {"aws:sourceip": http.client, "aws:securetransport": bool_text(http.scheme == "https")}
    if "user-agent" in headers:
        keys["aws:useragent"] = headers["user-agent"]
    if "referer" in headers:
        keys["aws:referer"] = headers["referer"]
    return keys


def of_moment(now: float, region: str, account_id: str) -> dict[str, Value]:
    """The keys that what a service does for somebody has too."""
    return {
        **_of_second(int(now)),
        "aws:requestedregion": region,
        "aws:resourceaccount": account_id,
        "aws:viaawsservice": "false",
    }


@functools.lru_cache(maxsize=4)
def _of_second(second: int) -> dict[str, Value]:
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    return {"aws:currenttime": text, "aws:epochtime": str(second)}


def _type(caller: Caller) -> str:
    if caller.is_root:
        return "Account"
    return "AssumedRole" if "RoleArn" in caller.session else "User"
