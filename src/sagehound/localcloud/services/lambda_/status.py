"""The life of a function as data: State as it is made, LastUpdateStatus as it is changed."""

from __future__ import annotations

import uuid
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_.errors import conflict
from sagehound.localcloud.state.lifecycle import Lifecycle

Record = dict[str, Any]

STATE = Lifecycle(
    "State",
    {
        "Pending": {"Active", "Failed"},
        "Active": {"Failed"},
        "Failed": {"Pending"},
    },
)
UPDATE = Lifecycle(
    "LastUpdateStatus",
    {
        "InProgress": {"Successful", "Failed"},
        "Successful": {"InProgress"},
        "Failed": {"InProgress"},
    },
)
CREATING = {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}
_STATE_REASONS = tuple(CREATING)
_UPDATE_REASONS = ("LastUpdateStatusReason", "LastUpdateStatusReasonCode")
UPDATING = {"LastUpdateStatusReason": "The function is being created.", "LastUpdateStatusReasonCode": "Creating"}


def begin_creation(record: Record) -> Record:
    """A version as its creation begins. WorkId tells the work that is under way from any other."""
    return {**record, "State": "Pending", **CREATING, "WorkId": uuid.uuid4().hex}


def is_working(record: Record) -> bool:
    """Whether work is going on that will change this version's status by itself."""
    return record["State"] == "Pending" or record.get("LastUpdateStatus") == "InProgress"


def begin_update(latest: Record, record: Record) -> Record:
    """`record`, to which `latest` is updated: what served goes on serving until the new one is ready."""
    if latest["State"] == "Failed":
        # Nothing has served yet: the update is another try at creating.
        record = {**STATE.advance(record, "Pending", **CREATING), "LastUpdateStatus": "InProgress", **UPDATING}
    else:
        serving = latest.get("Serving", {key: value for key, value in latest.items() if key not in _UPDATE_REASONS})
        record = UPDATE.advance(record, "InProgress", Serving=serving, **UPDATING)
    return {**record, "WorkId": uuid.uuid4().hex}


def succeed(record: Record) -> Record:
    """The version when its code is unpacked: active, and what serves from now on."""
    if record["State"] == "Pending":
        record = STATE.advance(record, "Active", LastUpdateStatus="Successful")
    elif record.get("LastUpdateStatus") == "InProgress":
        record = UPDATE.advance(record, "Successful")
    gone = {"Serving", *_STATE_REASONS, *_UPDATE_REASONS}
    return {key: value for key, value in record.items() if key not in gone}


def fail(record: Record, code: str, reason: str) -> Record:
    """The version when it could not be made ready; an update that fails leaves the one before it serving."""
    if record["State"] == "Pending":
        failed = STATE.advance(record, "Failed", StateReason=reason, StateReasonCode=code)
        if "LastUpdateStatus" not in record:
            return failed
        record = failed
    return UPDATE.advance(record, "Failed", LastUpdateStatusReason=reason, LastUpdateStatusReasonCode=code)


def lose(record: Record, reason: str) -> Record:
    """An active version whose code is no longer there: neither packed nor unpacked."""
    return STATE.advance(record, "Failed", StateReason=reason, StateReasonCode="InvalidZipFileException")


def check_idle(record: Record) -> None:
    """ResourceConflictException while the version is being made or changed."""
    if record["State"] == "Pending":
        raise not_now(record["State"])
    if record.get("LastUpdateStatus") == "InProgress":
        arn = record["FunctionArn"]
        raise conflict(f"The operation cannot be performed at this time. An update is in progress for resource: {arn}")


def check_invocable(record: Record) -> None:
    """What Invoke answers for a version that cannot run: not yet, or never."""
    if record["State"] == "Pending":
        raise not_now("Pending")
    if record["State"] == "Failed":
        code = record["StateReasonCode"]
        if code != "InvalidZipFileException":
            raise not_now("Failed")
        raise AwsError(code, record["StateReason"], 502)


def not_now(state: str) -> AwsError:
    """AWS's answer to an operation that the state does not allow."""
    return conflict(
        f"The operation cannot be performed at this time. The function is currently in the following state: {state}"
    )
