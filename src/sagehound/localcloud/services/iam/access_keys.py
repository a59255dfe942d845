"""Access keys of users, and finding the one that signed a request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sagehound.localcloud.call import Call, Caller, Credential, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import limits, records
from sagehound.localcloud.services.iam.users import Users
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store

_USE_PRECISION = timedelta(minutes=1)
"""How old the noted last use of a key may be before another is written."""


class AccessKeys:
    """A CredentialSource over root's key and the users' keys; at most two a user."""

    def __init__(self, store: Store, clock: Clock, account_id: str, root: Credential, users: Users) -> None:
        self._store = store
        self._clock = clock
        self._account_id = account_id
        self._root = root
        self._users = users

    def find(self, access_key_id: str) -> Credential | None:
        """The credential of an active key."""
        if access_key_id == self._root.access_key_id:
            return self._root
        key = self._store.get(records.KEY, "", access_key_id)
        if key is None or key["Status"] != "Active":
            return None
        user = records.get(self._store, records.USER, key["UserName"])
        caller = Caller(user["Arn"], user["UserId"], self._account_id, access_key_id)
        return Credential(access_key_id, key["SecretAccessKey"], caller)

    def note_use(self, access_key_id: str, service: str, region: str) -> None:
        """Remember that a user's key was used, to the minute, for GetAccessKeyLastUsed."""
        if access_key_id == self._root.access_key_id:
            return
        key = self._store.get(records.KEY, "", access_key_id)
        if key is None:
            return
        now, last = self._clock.now(), key.get("LastUsed", {}).get("LastUsedDate")
        if last is None or now - last >= _USE_PRECISION:
            used = {"LastUsedDate": now, "ServiceName": service, "Region": region}
            self._store.put(records.KEY, "", access_key_id, {**key, "LastUsed": used})

    def CreateAccessKey(self, call: Call, request: Request) -> Response:
        """A key and its secret, which is told this once."""
        name = request.get("UserName") or self._users.name_of_caller(call)
        user = records.get(self._store, records.USER, name)
        call.resource = user["Arn"]
        if len(self._of(user["UserName"])) >= limits.ACCESS_KEYS_PER_USER:
            message = f"Cannot exceed quota for AccessKeysPerUser: {limits.ACCESS_KEYS_PER_USER}"
            raise AwsError("LimitExceeded", message, 409)
        key: Record = {
            "UserName": user["UserName"],
            "AccessKeyId": records.unique_id("AKIA"),
            "Status": "Active",
            "SecretAccessKey": records.secret_key(),
            "CreateDate": self._clock.now(),
        }
        self._store.put(records.KEY, "", key["AccessKeyId"], key)
        return {"AccessKey": key}

    def ListAccessKeys(self, call: Call, request: Request) -> Response:
        """The keys of a user, without secrets."""
        if "UserName" not in request and call.caller.is_root:
            caller = self._root.caller
            created = datetime.fromtimestamp(self._store.path.stat().st_ctime, UTC)
            key = {"AccessKeyId": caller.access_key_id, "Status": "Active", "CreateDate": created}
            return {"AccessKeyMetadata": [key], "IsTruncated": False}
        name = request.get("UserName") or self._users.name_of_caller(call)
        user = records.get(self._store, records.USER, name)
        shown = ("UserName", "AccessKeyId", "Status", "CreateDate")
        keys = [{member: key[member] for member in shown} for key in self._of(user["UserName"])]
        return records.page(request, "AccessKeyMetadata", keys, lambda key: key["AccessKeyId"])

    def UpdateAccessKey(self, call: Call, request: Request) -> Response:
        """Active or Inactive: requests signed with an inactive key are refused."""
        key = self._get(call, request)
        self._store.put(records.KEY, "", key["AccessKeyId"], {**key, "Status": request["Status"]})
        return {}

    def GetAccessKeyLastUsed(self, call: Call, request: Request) -> Response:
        """When, for which service and where a key was last used."""
        key = self._store.get(records.KEY, "", request["AccessKeyId"])
        if key is None:
            raise _missing(request["AccessKeyId"])
        used = key.get("LastUsed", {"ServiceName": "N/A", "Region": "N/A"})
        return {"UserName": key["UserName"], "AccessKeyLastUsed": used}

    def DeleteAccessKey(self, call: Call, request: Request) -> Response:
        """The key is refused from now on."""
        key = self._get(call, request)
        self._store.delete(records.KEY, "", key["AccessKeyId"])
        return {}

    def _get(self, call: Call, request: Request) -> Record:
        name = request.get("UserName") or self._users.name_of_caller(call)
        user = records.get(self._store, records.USER, name)
        call.resource = user["Arn"]
        key = self._store.get(records.KEY, "", request["AccessKeyId"])
        if key is None or key["UserName"] != user["UserName"]:
            raise _missing(request["AccessKeyId"])
        return key

    def _of(self, user_name: str) -> list[Record]:
        return [key for key in self._store.list(records.KEY, "") if key["UserName"] == user_name]


def _missing(access_key_id: str) -> AwsError:
    return AwsError("NoSuchEntity", f"The Access Key with id {access_key_id} cannot be found.", 404)
