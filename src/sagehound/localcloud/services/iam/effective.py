"""What a user, a role or a session may do: its documents gathered, compiled, and kept until an IAM record changes."""

from __future__ import annotations

import functools
import json
from typing import NamedTuple

from sagehound.localcloud.authorization.rights import Rights
from sagehound.localcloud.call import Caller
from sagehound.localcloud.policy.decision import Policies
from sagehound.localcloud.policy.document import Policy, compile_policy
from sagehound.localcloud.services.iam import aws_policies, records
from sagehound.localcloud.state.store import Record, Store

_KINDS = {"user": records.USER, "role": records.ROLE, "instance-profile": records.PROFILE}
_GOVERNING = (records.USER, records.ROLE, records.POLICY)
"""A change of any record of these kinds may change what somebody may do."""
_NOTHING = '{"Version": "2012-10-17", "Statement": []}'
_REMEMBERED = 4096


class _Entry(NamedTuple):
    state: tuple[int, ...]
    rights: Rights


class EffectivePolicies:
    """Rights by caller. An answer is as old as the last change of a user, role or policy, never older."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: dict[str, _Entry] = {}

    def rights_of(self, caller: Caller) -> Rights:
        """Those of a user, or of a session's role with the session's own policies and tags over them."""
        # The key of a session stands for one set of session policies and tags.
        state = self._store.changes(_GOVERNING)
        kept = self._entries.get(caller.access_key_id)
        if kept is not None and kept.state == state:
            return kept.rights
        rights = self._of_session(caller) if "RoleArn" in caller.session else self._made(self._user(caller))
        return self._keep(caller.access_key_id, state, rights) if caller.access_key_id else rights

    def rights_of_role(self, role_arn: str, role_id: str = "") -> Rights:
        """Those of a role; nothing when there is none. `role_id` tells it from an earlier one of the same name."""
        name = f"{role_arn} {role_id}"
        state = self._store.changes(_GOVERNING)
        kept = self._entries.get(name)
        if kept is not None and kept.state == state:
            return kept.rights
        record = records.by_arn(self._store, records.ROLE, role_arn)
        if record is not None and role_id not in ("", record["RoleId"]):
            record = None
        return self._keep(name, state, self._made(record))

    def is_alive(self, caller: Caller) -> bool:
        """Whether the user or role behind temporary keys is still there; one made anew by its name is another."""
        return caller.is_root or self.rights_of(caller).exists

    def entity(self, kind: str, name: str) -> Record | None:
        """The record of a user, role or instance profile by its name."""
        return self._store.get(_KINDS[kind], "", name.lower())

    def user_of_key(self, access_key_id: str) -> str | None:
        """The name of the user whose access key this is."""
        key = self._store.get(records.KEY, "", access_key_id)
        return None if key is None else str(key["UserName"])

    def resource_policy(self, arn: str) -> str | None:
        """The policy of a role as a resource, which says who may assume it."""
        record = records.by_arn(self._store, records.ROLE, arn)
        return None if record is None else str(record["AssumeRolePolicyDocument"])

    def _of_session(self, caller: Caller) -> Rights:
        session = caller.session
        role = self.rights_of_role(session["RoleArn"], caller.user_id.partition(":")[0])
        texts = [("session policy", session["Policy"])] if "Policy" in session else []
        texts += [(policy["arn"], self._document(policy["arn"])) for policy in session.get("PolicyArns", ())]
        own: tuple[Policy, ...] | None = tuple(compile_policy(text, name) for name, text in texts)
        if not texts:
            own = None
        return Rights(
            Policies(role.policies.identity, role.policies.boundary, own),
            {**role.tags, **{tag["Key"]: tag["Value"] for tag in session.get("Tags", ())}},
            exists=role.exists,
        )

    def _made(self, record: Record | None) -> Rights:
        if record is None:
            return Rights(exists=False)
        texts = list(record["InlinePolicies"].items())
        texts += [(arn, self._document(arn)) for arn in record["AttachedPolicies"]]
        identity = tuple(compile_policy(text, name) for name, text in texts)
        boundary: Policy | None = None
        if "PermissionsBoundary" in record:
            arn = record["PermissionsBoundary"]["PermissionsBoundaryArn"]
            boundary = compile_policy(self._document(arn), arn)
        tags = {tag["Key"]: tag["Value"] for tag in record.get("Tags", ())}
        return Rights(Policies(identity, boundary), tags)

    def _document(self, arn: str) -> str:
        """The text of a managed policy; one that is gone allows nothing."""
        if aws_policies.is_aws(arn):
            return _aws_document(arn)
        record = records.by_arn(self._store, records.POLICY, arn)
        if record is None:
            return _NOTHING
        return str(record["Versions"][record["DefaultVersionId"]]["Document"])

    def _user(self, caller: Caller) -> Record | None:
        """By the unique id: temporary keys go on when their user gets another name."""
        record = self.entity("user", caller.arn.rpartition("/")[2])
        if record is not None and record["UserId"] == caller.user_id:
            return record
        users = self._store.list(records.USER, "")
        return next((user for user in users if user["UserId"] == caller.user_id), None)

    def _keep(self, name: str, state: tuple[int, ...], rights: Rights) -> Rights:
        if len(self._entries) >= _REMEMBERED:
            self._entries.clear()
        self._entries[name] = _Entry(state, rights)
        return rights


@functools.lru_cache(maxsize=64)
def _aws_document(arn: str) -> str:
    found = aws_policies.find(arn)
    return _NOTHING if found is None else json.dumps(found["Document"])
