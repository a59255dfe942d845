"""What the states on single instances make of a whole command, and how its output is cut."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ssm import command_status, output
from sagehound.localcloud.services.ssm.command_status import LIFECYCLE, summary
from sagehound.localcloud.services.ssm.command_table import CommandTable
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store


def _invocations(*details: str) -> list[dict[str, Any]]:
    status = {
        "ExecutionTimedOut": "TimedOut",
        "DeliveryTimedOut": "TimedOut",
        "Terminated": "Cancelled",
        "Undeliverable": "Failed",
    }
    return [{"Status": status.get(detail, detail), "StatusDetails": detail} for detail in details]


@pytest.mark.parametrize(
    ("details", "max_errors", "status"),
    [
        ((), "0", ("Success", "NoInstancesInTag")),
        (("Pending", "Pending"), "0", ("Pending", "Pending")),
        (("Success", "Pending"), "0", ("InProgress", "InProgress")),
        (("Success", "Cancelling"), "0", ("Cancelling", "Cancelling")),
        (("Success", "Success"), "0", ("Success", "Success")),
        (("Success", "Failed"), "0", ("Failed", "Failed")),
        (("Success", "Failed"), "1", ("Failed", "Incomplete")),
        (("Failed", "Failed"), "50%", ("Failed", "Failed")),
        (("Failed", "Success"), "50%", ("Failed", "Incomplete")),
        (("Failed", "Terminated"), "0", ("Failed", "Failed")),
        (("ExecutionTimedOut", "Success"), "0", ("TimedOut", "ExecutionTimedOut")),
        (("ExecutionTimedOut", "Failed"), "0", ("Failed", "Failed")),
        (("DeliveryTimedOut",), "0", ("TimedOut", "DeliveryTimedOut")),
        (("DeliveryTimedOut", "Success"), "0", ("Failed", "Incomplete")),
        (("Undeliverable",), "0", ("Failed", "Undeliverable")),
        (("Cancelled", "Success"), "0", ("Cancelled", "Cancelled")),
    ],
)
def test_the_state_of_a_command(details: tuple[str, ...], max_errors: str, status: tuple[str, str]) -> None:
    command = {"TargetCount": len(details), "MaxErrors": max_errors}
    found = summary(command, _invocations(*details))
    assert (found["Status"], found["StatusDetails"]) == status
    assert found["CompletedCount"] == sum(LIFECYCLE.is_final(entry["Status"]) for entry in _invocations(*details))


def test_what_counts_as_an_error() -> None:
    every = _invocations("Failed", "ExecutionTimedOut", "DeliveryTimedOut", "Undeliverable", "Terminated", "Success")
    assert [command_status.is_error(entry) for entry in every] == [True, True, False, False, False, False]
    found = summary({"TargetCount": 6, "MaxErrors": "2"}, every)
    assert (found["ErrorCount"], found["DeliveryTimedOutCount"]) == (2, 1)


def test_percentages_are_of_all_instances() -> None:
    assert command_status.concurrency({"MaxConcurrency": "10%", "TargetCount": 3}) == 1
    assert command_status.concurrency({"MaxConcurrency": "50%", "TargetCount": 9}) == 4
    assert command_status.concurrency({"MaxConcurrency": "7", "TargetCount": 3}) == 7


def test_output_that_goes_nowhere_takes_no_room(tmp_path: Path) -> None:
    found = output.Output(tmp_path / "a" / "b", whole=False)
    found.begin()
    for _ in range(100):
        found.stdout(b"x" * 10_000)
    found.stderr(b"no newline")
    found.close()
    found.say("the end")
    assert found.path("stdout").stat().st_size < 100_000
    texts = found.texts()
    assert texts["StandardErrorContent"] == "no newline\nthe end"
    assert len(texts["StandardOutputContent"]) == output.STDOUT_CHARACTERS
    found.remove()
    assert not list(tmp_path.iterdir())


def test_output_of_other_encodings_is_told() -> None:
    assert output.of_plugin("ok", "") == "ok"
    assert output.cut("é" * 30, 25) == "é" * 5 + "--output truncated--"


def test_commands_are_forgotten_after_thirty_days(tmp_path: Path) -> None:
    clock, store = Clock(), Store(tmp_path / "cloud.sqlite")
    table = CommandTable(store, clock)
    for name, days in (("new", 29), ("old", 31)):
        requested = clock.now() - timedelta(days=days)
        command = {"region": "r", "CommandId": name, "instances": ["i"], "RequestedDateTime": requested}
        table.add(command, [{"CommandId": name, "InstanceId": "i", "Status": "Success"}])
    assert table.forget_old() == ["old"]
    assert table.invocation("r", "new", "i")["Status"] == "Success"
    with pytest.raises(AwsError, match="InvocationDoesNotExist"):
        table.invocation("r", "old", "i")
    assert [command["CommandId"] for command in table.commands()] == ["new"]
    store.close()
