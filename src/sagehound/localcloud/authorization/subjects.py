"""Who asks: rights, name and condition keys of a caller, kept as long as IAM's records are as they were."""

from __future__ import annotations

from typing import NamedTuple

from sagehound.localcloud.authorization import context as keys
from sagehound.localcloud.authorization.check import Context
from sagehound.localcloud.authorization.needs import IAM
from sagehound.localcloud.authorization.rights import Rights
from sagehound.localcloud.call import Caller
from sagehound.localcloud.policy import principals
from sagehound.localcloud.policy.principals import Principal

_NOBODY = Rights()
_REMEMBERED = 4096


class Subject(NamedTuple):
    """What is known of somebody who asks."""

    rights: Rights
    principal: Principal
    keys: Context


class Subjects:
    """Callers of the gateway's, and roles that services act with."""

    def __init__(self, iam: IAM, account_id: str) -> None:
        self._iam = iam
        self._account_id = account_id
        self._kept: dict[str, Subject] = {}

    def of(self, caller: Caller) -> Subject:
        """A user, a session, or somebody unknown."""
        if not caller.arn:
            return Subject(_NOBODY, principals.ANONYMOUS, keys.of_principal(caller, {}))
        rights = self._iam.rights_of(caller)
        kept = self._kept.get(caller.access_key_id)
        if kept is not None and kept.rights is rights and kept.principal.arn == caller.arn:
            return kept
        role_arn = caller.session.get("RoleArn", "")
        principal = principals.from_arn(caller.arn, role_arn=role_arn, unique_id=caller.user_id)
        subject = Subject(rights, principal, keys.of_principal(caller, rights.tags))
        if len(self._kept) >= _REMEMBERED:
            self._kept.clear()
        if caller.access_key_id:
            self._kept[caller.access_key_id] = subject
        return subject

    def of_role(self, role_arn: str, session_name: str) -> Subject:
        """A role's session as a service has it, without keys."""
        arn = f"arn:aws:sts::{self._account_id}:assumed-role/{role_arn.rpartition('/')[2]}/{session_name}"
        principal = Principal(arn, self._account_id, "session", role_arn=role_arn)
        caller = Caller(arn, "", self._account_id, "", session={"RoleArn": role_arn, "RoleSessionName": session_name})
        rights = self._iam.rights_of_role(role_arn)
        return Subject(rights, principal, keys.of_principal(caller, rights.tags))
