"""Commands and their invocations in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ssm.command_status import LIFECYCLE
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

Record = dict[str, Any]
KIND, INVOCATION_KIND = "ssm:command", "ssm:invocation"
KEPT = timedelta(days=30)
"""For how long the history tells of a command."""


class CommandTable:
    """Members as AWS calls them; beside them `region`, `instances` (all targets) and `cancelled`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, command: Record, invocations: Iterable[Record]) -> None:
        """Keep a new command."""
        with self._store.transaction():
            self.put(command)
            for invocation in invocations:
                self._put_invocation(command["region"], invocation)

    def put(self, command: Record) -> None:
        """Replace a command's record."""
        self._store.put(KIND, command["region"], command["CommandId"], command)

    def command(self, region: str, command_id: str) -> Record:
        """The command; InvalidCommandId when there is none."""
        found = self._store.get(KIND, region, command_id)
        if found is None:
            raise AwsError("InvalidCommandId", f"The command {command_id} does not exist.")
        return found

    def commands(self, region: str | None = None) -> list[Record]:
        """Those of a region, or all, newest first."""
        found = self._store.list(KIND, region)
        return sorted(found, key=lambda command: (command["RequestedDateTime"], command["CommandId"]), reverse=True)

    def invocation(self, region: str, command_id: str, instance_id: str) -> Record:
        """A command on an instance; InvocationDoesNotExist when there is none."""
        found = self._store.get(INVOCATION_KIND, region, f"{command_id}:{instance_id}")
        if found is None:
            message = f"The command {command_id} was not sent to the instance {instance_id}."
            raise AwsError("InvocationDoesNotExist", message)
        return found

    def invocations(self, command: Mapping[str, Any]) -> list[Record]:
        """All of a command, in the order of its targets."""
        return [
            self.invocation(command["region"], command["CommandId"], instance_id)
            for instance_id in command["instances"]
        ]

    def advance(
        self, region: str, command_id: str, instance_id: str, status: str, details: str = "", **members: Any
    ) -> bool:
        """Move an invocation on; False when it is where nothing follows that leads there."""
        with self._store.transaction():
            record = self.invocation(region, command_id, instance_id)
            if not LIFECYCLE.may(record["Status"], status):
                return False
            moved = LIFECYCLE.advance(record, status, StatusDetails=details or status, **members)
            self._put_invocation(region, moved)
        return True

    def forget_old(self) -> list[str]:
        """Remove what is older than the history tells; the ids of what was removed."""
        oldest = self._clock.now() - KEPT
        gone = [command for command in self.commands() if command["RequestedDateTime"] < oldest]
        with self._store.transaction():
            for command in gone:
                for instance_id in command["instances"]:
                    name = f"{command['CommandId']}:{instance_id}"
                    self._store.delete(INVOCATION_KIND, command["region"], name)
                self._store.delete(KIND, command["region"], command["CommandId"])
        return [command["CommandId"] for command in gone]

    def _put_invocation(self, region: str, invocation: Record) -> None:
        name = f"{invocation['CommandId']}:{invocation['InstanceId']}"
        self._store.put(INVOCATION_KIND, region, name, invocation)
