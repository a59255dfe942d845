"""Commands when the server dies or is stopped: what ran has ended and says so, what waited runs afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud.ssm_commands import Managed, Sleeper
from tests.cloud_process import CloudProcess


@pytest.fixture
def managed(own_cloud: CloudProcess) -> Iterator[Managed]:
    made = Managed(own_cloud)
    yield made
    made.remove()


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_what_ran_has_failed_and_what_waited_runs(managed: Managed, kill: bool) -> None:
    both = managed.up(fleet="all"), managed.up(fleet="all")
    sleeper = Sleeper()
    script = f"echo began; test -e /var/tmp/go || {sleeper.command}; hostname"
    command_id = managed.send(
        script, Targets=[{"Key": "tag:fleet", "Values": ["all"]}], MaxConcurrency="1", MaxErrors="1"
    )
    sleeper.await_up()
    # The second finds the file that ends its wait before it begins.
    first, second = managed.turns(command_id, *both)
    managed.sh(second, "touch /var/tmp/go")
    managed.cloud.restart(kill=kill)
    found = managed.end(command_id, first)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("Failed", "Failed", 137)
    assert found["StandardOutputContent"] == "began\n"
    reason = "The local cloud ended while this command was running, and the command with it."
    assert found["StandardErrorContent"] == reason
    sleeper.await_gone()
    other = managed.end(command_id, second)
    assert other["Status"] == "Success"
    assert other["StandardOutputContent"] == f"began\n{managed.get(second)['PrivateDnsName']}\n"
    assert managed.command(command_id)["StatusDetails"] == "Incomplete"
    # Both instances have outlived the server, and take commands.
    assert managed.sh(first, "echo here")["StandardOutputContent"] == "here\n"


def test_ends_that_were_told_are_told_after_kill_9(managed: Managed) -> None:
    instance_id = managed.up()
    done = managed.sh(instance_id, "echo done")
    managed.cloud.kill()
    # As a server leaves it that dies before it has deleted the output of what it has told.
    left = managed.cloud.data_dir / "commands" / done["CommandId"] / instance_id
    left.mkdir(parents=True)
    (left / "stdout").write_text("done\n")
    managed.cloud.start()
    again = managed.invocation(done["CommandId"], instance_id)
    del done["ResponseMetadata"], again["ResponseMetadata"]
    assert again == done
    assert not list((managed.cloud.data_dir / "commands").rglob("*"))


def test_what_waited_too_long_while_no_server_ran_is_not_delivered(managed: Managed) -> None:
    """The next server's clock runs 2,000 times as fast: before it delivers anything, the 30 seconds are over."""
    both = managed.up(fleet="all"), managed.up(fleet="all")
    sleeper = Sleeper()
    targets = [{"Key": "tag:fleet", "Values": ["all"]}]
    request = {"Targets": targets, "MaxConcurrency": "1", "MaxErrors": "1", "TimeoutSeconds": 30}
    command_id = managed.send(sleeper.command, **request)
    sleeper.await_up()
    first, second = managed.turns(command_id, *both)
    managed.cloud.kill()
    managed.cloud.options = ("--speed", "2000")
    managed.cloud.start()
    assert managed.end(command_id, first)["Status"] == "Failed"
    late = managed.end(command_id, second)
    assert (late["Status"], late["StatusDetails"], late["ResponseCode"]) == ("TimedOut", "DeliveryTimedOut", -1)
    assert managed.command(command_id)["DeliveryTimedOutCount"] == 1
    managed.cloud.options = ()
    managed.cloud.restart()  # on a fast clock, terminated instances are forgotten before they are looked for
