"""STS put together: its operations, the credentials of all callers, and keys for jobs."""

from __future__ import annotations

from sagehound.localcloud.call import CredentialSource, Operation, operations_of
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam.service import IAM
from sagehound.localcloud.services.sts.identity import Identity
from sagehound.localcloud.services.sts.roles import AssumedRoles
from sagehound.localcloud.services.sts.sessions import Sessions
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store


class STS:
    """AWS Security Token Service."""

    name = "sts"

    def __init__(self, store: Store, clock: Clock, account_id: str, iam: IAM, region: str) -> None:
        self._iam = iam
        self._region = region
        self._sessions = Sessions(store, clock, iam.access_keys, iam.effective.is_alive)
        self._roles = AssumedRoles(account_id, iam, self._sessions, clock)
        self._operations = operations_of(Identity(self._sessions), self._roles)

    @property
    def operations(self) -> dict[str, Operation]:
        """By AWS's names."""
        return self._operations

    @property
    def credentials(self) -> CredentialSource:
        """Every access key that there is: root's, the users', the sessions'."""
        return self._sessions

    async def start(self) -> None:
        """Forget sessions that ended long ago."""
        self._sessions.prune()

    def issue(self, role_arn: str, session_name: str, duration_seconds: int) -> Record:
        """Keys of a role, for a service that has checked the trust.

        AccessKeyId, SecretAccessKey, SessionToken and Expiration, as AssumeRole answers them.
        AccessDenied when the role does not exist (any more).
        """
        role = self._iam.role(role_arn)
        if role is None:
            raise AwsError("AccessDenied", f"Role {role_arn} does not exist.", 403)
        keys, _ = self._roles.issue(role, session_name, duration_seconds, {}, self._region)
        return keys
