"""The condition keys that every request has: who asks, from where, when, with what."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sagehound.localcloud.authorization.check import Value, bool_text
from sagehound.localcloud.call import Caller, HttpRequest
from sagehound.localcloud.state import arns


def principal_arn(caller: Caller) -> str:
    """The ARN that policies call somebody by: of a session it is its role's."""
    return str(caller.session.get("RoleArn", caller.arn))


def of_principal(caller: Caller, tags: Mapping[str, str]) -> dict[str, Value]:
    """The keys about who asks. A caller without an ARN is nobody."""
    if not caller.arn:
        return {"aws:principaltype": "Anonymous", "aws:userid": "anonymous", "aws:principalisawsservice": "false"}
    keys: dict[str, Value] = {
        "aws:principalarn": principal_arn(caller),
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


def of_request(http: HttpRequest) -> dict[str, Value]:
    """The keys about the HTTP message."""
    headers = http.headers
    keys: dict[str, Value] = {"aws:sourceip": http.client, "aws:securetransport": bool_text(http.scheme == "https")}
    if "user-agent" in headers:
        keys["aws:useragent"] = headers["user-agent"]
    if "referer" in headers:
        keys["aws:referer"] = headers["referer"]
    return keys


class TimeKeys:
    """aws:CurrentTime and aws:EpochTime, written anew once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._keys: dict[str, Value] = {}

    def at(self, now: float) -> dict[str, Value]:
        """The keys of a moment."""
        second = int(now)
        if second != self._second:
            text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
            self._keys = {"aws:currenttime": text, "aws:epochtime": str(second)}
            self._second = second
        return self._keys


def _type(caller: Caller) -> str:
    if caller.is_root:
        return "Account"
    return "AssumedRole" if "RoleArn" in caller.session else "User"
