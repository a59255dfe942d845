"""The keys that a function has: a session of its role, which must trust Lambda."""

from __future__ import annotations

from typing import Any, Protocol

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.functions.spec import FunctionSpec
from sagehound.localcloud.services.lambda_.names import PRINCIPAL
from sagehound.localcloud.services.lambda_.needs import RoleTrust

SESSION_SECONDS = 12 * 3600


class SessionIssuer(Protocol):
    """STS, asked for the temporary credentials of a function's role."""

    def issue(self, role_arn: str, session_name: str, seconds: int, /) -> dict[str, Any]:
        """AccessKeyId, SecretAccessKey, SessionToken and Expiration."""


class RoleCredentials:
    """Asked once for each environment."""

    def __init__(self, roles: RoleTrust, sessions: SessionIssuer) -> None:
        self._roles = roles
        self._sessions = sessions

    def __call__(self, spec: FunctionSpec) -> dict[str, Any]:
        """New keys; AccessDeniedException when the role is gone or trusts Lambda no longer."""
        try:
            self._roles.role_trust(spec.role_arn, PRINCIPAL)
        except AwsError as refusal:
            message = "The role defined for the function cannot be assumed by Lambda."
            raise AwsError("AccessDeniedException", message, 403, members={"Type": "User"}) from refusal
        return self._sessions.issue(spec.role_arn, spec.name, SESSION_SECONDS)
