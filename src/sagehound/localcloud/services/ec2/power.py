"""StartInstances, StopInstances, RebootInstances, TerminateInstances: which may follow which, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, quotas, states
from sagehound.localcloud.services.ec2.machines import Machines
from sagehound.localcloud.services.ec2.states import LIFECYCLE
from sagehound.localcloud.services.ec2.table import InstanceTable
from sagehound.localcloud.state.clock import Clock

Record = dict[str, Any]


class Power:
    """The operations. Each is refused for all instances that it names, or done for all."""

    def __init__(self, table: InstanceTable, machines: Machines, clock: Clock, limits: dict[str, int]) -> None:
        self._table = table
        self._machines = machines
        self._clock = clock
        self._limits = limits

    def StartInstances(self, call: Call, request: Request) -> Response:
        """Boot stopped instances; one that runs is left as it is."""
        records = self._named(call, request)
        for record in records:
            if record["InstanceState"] not in ("stopped", "pending", "running"):
                raise errors.wrong_state(record["InstanceId"], "in a state from which it can be started")
        together = self._table.all(call.region)
        for record in records:
            if record["InstanceState"] == "stopped":
                quotas.admitted(self._limits, together, record["InstanceType"], 1, 1)
                together.append({**record, "InstanceState": "pending"})
        now = self._clock.now().replace(microsecond=0)
        return self._changed(
            "StartingInstances",
            records,
            {"stopped": "pending"},
            LaunchTime=now,
            StateTransitionReason="",
            StateReason=None,
        )

    def StopInstances(self, call: Call, request: Request) -> Response:
        """Shut running instances down; what they have written stays."""
        if request.get("Hibernate"):
            raise errors.unsupported("hibernation")
        records = self._named(call, request)
        for record in records:
            if record["InstanceState"] in states.GONE:
                raise AwsError(
                    "IncorrectInstanceState",
                    f"This instance '{record['InstanceId']}' is not in a state from which it can be stopped.",
                )
            if record["DisableApiStop"]:
                raise _protected(record, "stopped", "disableApiStop")
            if record["InstanceState"] == "pending" and not record["FirstBootDone"]:
                raise AwsError(
                    "IncorrectInstanceState",
                    f"Instance '{record['InstanceId']}' cannot be stopped as it has never reached the 'running' state.",
                )
        forced = {"Forced": True} if request.get("Force") else {}
        moves = {"pending": "stopping", "running": "stopping"}
        return self._changed("StoppingInstances", records, moves, **self._by_user(), **forced)

    def RebootInstances(self, call: Call, request: Request) -> Response:
        """Boot running instances again, their files kept; user data does not run again."""
        records = self._named(call, request)
        for record in records:
            if record["InstanceState"] not in ("pending", "running"):
                raise errors.wrong_state(record["InstanceId"], "in a state from which it can be rebooted")
        for record in records:
            self._machines.reboot(call.region, record["InstanceId"])
        return {}

    def TerminateInstances(self, call: Call, request: Request) -> Response:
        """End instances for good, with their root volumes; one that is terminated is no error."""
        records = self._named(call, request)
        for record in records:
            if record["DisableApiTermination"] and record["InstanceState"] not in states.GONE:
                raise _protected(record, "terminated", "disableApiTermination")
        moves = dict.fromkeys(("pending", "running", "stopping", "stopped"), "shutting-down")
        return self._changed("TerminatingInstances", records, moves, **self._by_user())

    def _named(self, call: Call, request: Request) -> list[Record]:
        """The instances that the request names; the call is recorded as one about the first."""
        records = self._table.named(call.region, request["InstanceIds"])
        if records:
            call.resource = self._table.arn(records[0])
        return records

    def _by_user(self) -> Record:
        moment = self._clock.now().strftime("%Y-%m-%d %H:%M:%S GMT")
        return {"StateReason": states.reason(*states.USER), "StateTransitionReason": f"User initiated ({moment})"}

    def _changed(self, member: str, records: Sequence[Record], moves: dict[str, str], **members: Any) -> Response:
        """Move the records on, and tell each instance's state before and after."""
        shown, moved = [], []
        for record in records:
            before: str = record["InstanceState"]
            after = moves.get(before, before)
            if after != before:
                changed = LIFECYCLE.advance(record, after, **members)
                moved.append({name: value for name, value in changed.items() if value is not None})
            shown.append(
                {
                    "InstanceId": record["InstanceId"],
                    "PreviousState": states.shown(before),
                    "CurrentState": states.shown(after),
                }
            )
        self._table.put_all(moved)
        for record in moved:
            self._machines.settle(record["Region"], record["InstanceId"])
        return {member: shown}


def _protected(record: Record, done: str, attribute: str) -> AwsError:
    message = (
        f"The instance '{record['InstanceId']}' may not be {done}. Modify its '{attribute}' instance attribute and try "
        "again."
    )
    return AwsError("OperationNotPermitted", message)
