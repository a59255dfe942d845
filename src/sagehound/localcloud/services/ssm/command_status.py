"""The states of a command on an instance, and what they make of the whole command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sagehound.localcloud.state.lifecycle import Lifecycle

Record = dict[str, Any]
LIFECYCLE = Lifecycle(
    "Status",
    {
        "Pending": {"InProgress", "Cancelled", "TimedOut", "Failed"},
        "InProgress": {"Success", "Failed", "TimedOut", "Cancelling"},
        "Cancelling": {"Cancelled", "Success", "Failed", "TimedOut"},
        "Success": set(),
        "Failed": set(),
        "TimedOut": set(),
        "Cancelled": set(),
    },
)
UNCOUNTED = ("DeliveryTimedOut", "Undeliverable", "Terminated", "Cancelled")
"""Details of ends that are no errors of the command: https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html"""


def is_error(invocation: Mapping[str, Any]) -> bool:
    """Whether it counts against MaxErrors."""
    return invocation["Status"] in ("Failed", "TimedOut") and invocation["StatusDetails"] not in UNCOUNTED


def part_of(limit: str, count: int) -> int:
    """MaxConcurrency or MaxErrors as a number of instances: a number, or a percentage of all."""
    return count * int(limit[:-1]) // 100 if limit.endswith("%") else int(limit)


def concurrency(command: Mapping[str, Any]) -> int:
    """How many instances run the command at the same time."""
    return max(1, part_of(command["MaxConcurrency"], command["TargetCount"]))


def is_over_errors(command: Mapping[str, Any], invocations: Sequence[Record]) -> bool:
    """Whether more instances have failed than MaxErrors allows."""
    errors = sum(is_error(invocation) for invocation in invocations)
    return errors > part_of(command["MaxErrors"], command["TargetCount"])


def summary(command: Mapping[str, Any], invocations: Sequence[Record]) -> Record:
    """The members of the command that follow from its invocations."""
    status, details = _status(command, invocations)
    return {
        "Status": status,
        "StatusDetails": details,
        "TargetCount": command["TargetCount"],
        "CompletedCount": sum(LIFECYCLE.is_final(invocation["Status"]) for invocation in invocations),
        "ErrorCount": sum(is_error(invocation) for invocation in invocations),
        "DeliveryTimedOutCount": sum(entry["StatusDetails"] == "DeliveryTimedOut" for entry in invocations),
    }


def _status(command: Mapping[str, Any], invocations: Sequence[Record]) -> tuple[str, str]:
    if not invocations:
        return "Success", "NoInstancesInTag"
    states = {invocation["Status"] for invocation in invocations}
    if not all(LIFECYCLE.is_final(state) for state in states):
        if "Cancelling" in states or command.get("cancelled"):
            return "Cancelling", "Cancelling"
        return ("Pending", "Pending") if states == {"Pending"} else ("InProgress", "InProgress")
    details = {invocation["StatusDetails"] for invocation in invocations}
    if states == {"Success"}:
        return "Success", "Success"
    if "Cancelled" in details:
        return "Cancelled", "Cancelled"
    if is_over_errors(command, invocations):
        only = details - {"Success", "Terminated"} == {"ExecutionTimedOut"}
        return ("TimedOut", "ExecutionTimedOut") if only else ("Failed", "Failed")
    if details == {"DeliveryTimedOut"}:
        return "TimedOut", "DeliveryTimedOut"
    if details == {"Undeliverable"}:
        return "Failed", "Undeliverable"
    return "Failed", "Incomplete"
