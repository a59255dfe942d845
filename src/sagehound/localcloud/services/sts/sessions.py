"""Temporary credentials: made, kept, found, pruned."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sagehound.localcloud.call import Caller, Credential
from sagehound.localcloud.services.iam import records
from sagehound.localcloud.services.iam.access_keys import AccessKeys
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store

KIND = "sts-session"
_KEPT_AFTER_END = timedelta(days=7)
"""As long as its record is there, an ended session is refused as expired, later as unknown."""
_REMEMBERED = 1024


class Sessions:
    """A CredentialSource over sessions, and over the long-term keys behind it."""

    def __init__(self, store: Store, clock: Clock, long_term: AccessKeys, is_alive: Callable[[Caller], bool]) -> None:
        self._store = store
        self._clock = clock
        self._long_term = long_term
        self._is_alive = is_alive
        self._recent: OrderedDict[str, Credential] = OrderedDict()

    def find(self, access_key_id: str) -> Credential | None:
        """The credential of a session or of a long-term key."""
        if not access_key_id.startswith("ASIA"):
            return self._long_term.find(access_key_id)
        known = self._recent.get(access_key_id)
        if known is None:
            record = self._store.get(KIND, "", access_key_id)
            if record is None:
                return None
            known = self._remember(record)
        # A session ends with its user or role: AWS does not know its keys any more.
        return known if self._is_alive(known.caller) else None

    def note_use(self, access_key_id: str, service: str, region: str) -> None:
        """Pass on that a long-term key was used."""
        if not access_key_id.startswith("ASIA"):
            self._long_term.note_use(access_key_id, service, region)

    def make(self, caller: Record, seconds: int) -> Record:
        """New keys for `caller` (Arn, UserId, Account, Session), as the Credentials member has them."""
        keys: Record = {
            "AccessKeyId": records.unique_id("ASIA"),
            "SecretAccessKey": records.secret_key(),
            "SessionToken": "IQoJb3JpZ2luX2Vj" + secrets.token_urlsafe(180),
            "Expiration": self._clock.now().replace(microsecond=0) + timedelta(seconds=seconds),
        }
        issued = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        record = {**keys, "Caller": {**caller, "Session": {**caller["Session"], "TokenIssueTime": issued}}}
        self._store.put(KIND, "", keys["AccessKeyId"], record)
        self._remember(record)
        return keys

    def prune(self) -> None:
        """Forget the sessions that ended a week ago."""
        limit = self._clock.now() - _KEPT_AFTER_END
        for record in self._store.list(KIND, ""):
            if record["Expiration"] < limit:
                self._store.delete(KIND, "", record["AccessKeyId"])
                self._recent.pop(record["AccessKeyId"], None)

    def _remember(self, record: Record) -> Credential:
        caller: dict[str, Any] = record["Caller"]
        credential = Credential(
            access_key_id=record["AccessKeyId"],
            secret_access_key=record["SecretAccessKey"],
            caller=Caller(
                arn=caller["Arn"],
                user_id=caller["UserId"],
                account_id=caller["Account"],
                access_key_id=record["AccessKeyId"],
                is_root=caller.get("IsRoot", False),
                session=caller["Session"],
            ),
            session_token=record["SessionToken"],
            expiration=record["Expiration"].timestamp(),
        )
        self._recent[credential.access_key_id] = credential
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return credential
