"""CloudWatch Logs as the gateway and the other services see it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.services.logs.events import LogEvents
from sagehound.localcloud.services.logs.filtering import FilteredEvents
from sagehound.localcloud.services.logs.groups import KIND, LogGroups
from sagehound.localcloud.services.logs.streams import LogStreams
from sagehound.localcloud.services.logs.tables import LogTables
from sagehound.localcloud.services.logs.tagging import LogTags
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store


class Logs:
    """Groups, streams and events; `append` is how jobs, endpoints and functions write theirs."""

    name = "logs"

    def __init__(self, store: Store, clock: Clock, account_id: str) -> None:
        self._store = store
        self._clock = clock
        self._tables = LogTables(store)
        self._groups = LogGroups(store, clock, self._tables, account_id)
        self._streams = LogStreams(clock, self._tables, self._groups)
        self._events = LogEvents(clock, self._tables, self._groups, self._streams)
        self._filtered = FilteredEvents(self._tables, self._groups, self._streams)
        self._expiry: asyncio.Task[None] | None = None

    @property
    def operations(self) -> dict[str, Operation]:
        """The operations by AWS's names."""
        return operations_of(self._groups, self._streams, self._events, self._filtered, LogTags(self._groups))

    async def start(self) -> None:
        """Begin to remove events that are past their group's retention."""
        self._expiry = asyncio.create_task(self._groups.expire_for_ever())

    async def stop(self) -> None:
        """End the removal."""
        if self._expiry is not None:
            self._expiry.cancel()
            with suppress(asyncio.CancelledError):
                await self._expiry

    def has_group(self, region: str, group: str) -> bool:
        """Whether there is such a group."""
        return self._store.get(KIND, region, group) is not None

    def resource_tags(self, arn: str) -> dict[str, str]:
        """The tags of the group of an ARN, or of a stream's group, for conditions of policies."""
        region, _, resource = arn.split(":", 5)[3:]
        name = resource.removeprefix("log-group:").partition(":")[0]
        return (self._store.get(KIND, region, name) or {}).get("tags") or {}

    def append(self, region: str, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        """Add (milliseconds since 1970, message) events; group and stream are made when they are missing.

        Inside a transaction of the store it is part of that transaction. Empty messages are left out: AWS has none.
        """
        now = int(self._clock.time() * 1000)
        with self._store.transaction():
            row = self._tables.stream(region, group, stream)
            if row is None:
                self._groups.add(region, {"logGroupName": group})
                self._tables.add_stream(region, group, stream, now)
                row = self._tables.stream(region, group, stream)
                assert row is not None
            self._tables.append(row, [(time, message) for time, message in events if message], now)
