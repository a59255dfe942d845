"""Keys for clients that ask as they would in a container of AWS's: a token that stands for a role becomes a session."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any, Protocol

from sagehound.caller_token import CREDENTIALS_PATH, read_token
from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.gateway import Exchange
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.wire.protocol import WireResponse

SESSION_SECONDS = 3600
_RENEWED = timedelta(minutes=20)
"""With less left than this a session is not handed out again: the SDKs ask for new keys 15 minutes before the end."""
_REMEMBERED = 256


class Roles(Protocol):
    """The roles that there are."""

    def role(self, arn: str) -> dict[str, Any] | None: ...


class Sessions(Protocol):
    """Makes the keys of a role."""

    def issue(self, role_arn: str, session_name: str, duration_seconds: int) -> dict[str, Any]: ...


class CredentialsFront:
    """Answers AWS_CONTAINER_CREDENTIALS_FULL_URI."""

    def __init__(
        self, root_secret: str, roles: Roles, sessions: Sessions, clock: Clock, seconds: int = SESSION_SECONDS
    ) -> None:
        self._seconds = seconds
        self._root_secret = root_secret
        self._roles = roles
        self._sessions = sessions
        self._clock = clock
        self._issued: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    def claims(self, http: HttpRequest) -> bool:
        """Whether a request is for keys."""
        return http.raw_path == CREDENTIALS_PATH

    async def answer(self, exchange: Exchange) -> WireResponse:
        """The keys, in the form of the container credentials; why there are none, in the same form."""
        try:
            status, document = 200, self._credentials(exchange)
        except AwsError as error:
            exchange.error = error
            status, document = error.status, {"code": error.code, "message": error.message}
        body = json.dumps(document).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        return WireResponse(status, [*headers, ("Cache-Control", "no-store")], body)

    def _credentials(self, exchange: Exchange) -> dict[str, str]:
        http = exchange.http
        exchange.step = "authenticate"
        if http.method != "GET":
            raise AwsError("MethodNotAllowed", "Credentials are fetched with GET.", 405)
        found = read_token(self._root_secret, http.headers.get("authorization", ""))
        if found is None:
            message = "The authorization token was not made with the root keys of this cloud."
            raise AwsError("AccessDenied", message, 403)
        exchange.step = "dispatch"
        role_arn, session_name = found
        role = self._roles.role(role_arn)
        if role is None:
            raise AwsError("AccessDenied", f"Role {role_arn} does not exist (any more).", 403)
        keys = self._keys(role, session_name)
        expiration: datetime = keys["Expiration"]
        return {
            "RoleArn": role_arn,
            "AccessKeyId": keys["AccessKeyId"],
            "SecretAccessKey": keys["SecretAccessKey"],
            "Token": keys["SessionToken"],
            "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _keys(self, role: dict[str, Any], session_name: str) -> dict[str, Any]:
        """The session that another client of the same name was given, while it lasts; each command asks anew."""
        name = (role["RoleId"], session_name)  # a role that was made again under its old name has another id
        known = self._issued.get(name)
        if known is not None and known["Expiration"] - self._clock.now() > _RENEWED:
            return known
        keys = self._sessions.issue(role["Arn"], session_name, self._seconds)
        self._issued[name] = keys
        self._issued.move_to_end(name)
        if len(self._issued) > _REMEMBERED:
            self._issued.popitem(last=False)
        return keys
