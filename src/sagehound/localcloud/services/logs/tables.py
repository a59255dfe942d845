"""The SQLite tables of streams and events: one row an event, keyed by stream, time and sequence."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from sagehound.localcloud.state.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log_streams (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, log_group TEXT NOT NULL, name TEXT NOT NULL,
    creation_time INTEGER NOT NULL, first_event INTEGER, last_event INTEGER, last_ingestion INTEGER,
    stored_bytes INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0,
    UNIQUE (region, log_group, name)
);
CREATE TABLE IF NOT EXISTS log_events (
    stream INTEGER NOT NULL, timestamp INTEGER NOT NULL, sequence INTEGER NOT NULL,
    ingestion INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (stream, timestamp, sequence)
) WITHOUT ROWID;
"""
_BEHIND_ALL = "\U0010ffff"
LARGEST_PAGE = 1_048_576
"""Bytes of events in one answer."""
EVENT_OVERHEAD = 26
"""Bytes that AWS counts for an event beside its message."""


class Position(NamedTuple):
    """A place in a stream: milliseconds, then the order of arrival (from 1) among events of one millisecond."""

    timestamp: int
    sequence: int


FIRST = Position(0, 0)
LAST = Position(2**62, 2**62)


class LogTables:
    """Reads and writes of streams and events; whoever writes several rows does it in a transaction of the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.create_tables(_SCHEMA)

    def add_stream(self, region: str, group: str, name: str, now: int) -> bool:
        """Create a stream; False when its name is taken."""
        sql = (
            "INSERT OR IGNORE INTO log_streams (region, log_group, name, creation_time) VALUES (?, ?, ?, ?) RETURNING 1"
        )
        return bool(self.store.execute(sql, (region, group, name, now)))

    def stream(self, region: str, group: str, name: str) -> sqlite3.Row | None:
        """The row of a stream, or None."""
        sql = "SELECT * FROM log_streams WHERE region = ? AND log_group = ? AND name = ?"
        return next(iter(self.store.execute(sql, (region, group, name))), None)

    def streams(self, region: str, group: str, prefix: str = "") -> list[sqlite3.Row]:
        """The streams of a group whose names begin with `prefix`, by name."""
        sql = "SELECT * FROM log_streams WHERE region = ? AND log_group = ? AND name >= ? AND name < ? ORDER BY name"
        return self.store.execute(sql, (region, group, prefix, prefix + _BEHIND_ALL))

    def stored_bytes(self, region: str, group: str) -> int:
        """What AWS counts as the size of a group."""
        sql = "SELECT coalesce(sum(stored_bytes), 0) FROM log_streams WHERE region = ? AND log_group = ?"
        return int(self.store.execute(sql, (region, group))[0][0])

    def delete_streams(self, region: str, group: str, name: str | None = None) -> bool:
        """Remove one stream of a group, or all, with their events; False when there was none."""
        where = "region = :region AND log_group = :group" + (" AND name = :name" if name is not None else "")
        parameters = {"region": region, "group": group, "name": name}
        with self.store.transaction():
            self.store.execute(
                f"DELETE FROM log_events WHERE stream IN (SELECT id FROM log_streams WHERE {where})", parameters
            )
            return bool(self.store.execute(f"DELETE FROM log_streams WHERE {where} RETURNING 1", parameters))

    def append(self, stream: sqlite3.Row, events: list[tuple[int, str]], now: int) -> None:
        """Add (milliseconds, message) events to a stream and bring its times and size up to date."""
        if not events:
            return
        with self.store.transaction() as connection:
            sql = "UPDATE log_streams SET sequence = sequence + ? WHERE id = ? RETURNING sequence"
            last = int(self.store.execute(sql, (len(events), stream["id"]))[0][0])
            first = last - len(events) + 1
            rows = [(stream["id"], time, first + index, now, text) for index, (time, text) in enumerate(events)]
            connection.executemany("INSERT INTO log_events VALUES (?, ?, ?, ?, ?)", rows)
            size = sum(event_size(text) for _, text in events)
            times = [time for time, _ in events]
            connection.execute(
                "UPDATE log_streams SET first_event = min(coalesce(first_event, :first), :first),"
                " last_event = max(coalesce(last_event, :last), :last), last_ingestion = :now,"
                " stored_bytes = stored_bytes + :size WHERE id = :id",
                {"first": min(times), "last": max(times), "now": now, "size": size, "id": stream["id"]},
            )

    def read(
        self, stream: int, after: Position, before: Position, limit: int, *, backward: bool = False
    ) -> list[sqlite3.Row]:
        """Up to `limit` events strictly between two positions, from the earlier one on or back from the later one.

        Fewer when more would not fit into one answer, but at least one.
        """
        direction = "DESC" if backward else "ASC"
        sql = (
            "SELECT * FROM log_events WHERE stream = ? AND (timestamp, sequence) > (?, ?)"
            f" AND (timestamp, sequence) < (?, ?) ORDER BY timestamp {direction}, sequence {direction} LIMIT ?"
        )
        rows: list[sqlite3.Row] = []
        size = 0
        with self.store.transaction() as connection:
            for row in connection.execute(sql, (stream, *after, *before, limit)):
                size += event_size(row["message"])
                if rows and size > LARGEST_PAGE:
                    break
                rows.append(row)
        return rows

    def expire(self, region: str, group: str, before: int) -> None:
        """Remove the events of a group that are older than its retention."""
        with self.store.transaction() as connection:
            for row in self.streams(region, group):
                gone: list[Any] = self.store.execute(
                    "DELETE FROM log_events WHERE stream = ? AND timestamp < ? RETURNING message", (row["id"], before)
                )
                if gone:
                    size = sum(event_size(event["message"]) for event in gone)
                    connection.execute(
                        "UPDATE log_streams SET stored_bytes = stored_bytes - ?, first_event ="
                        " (SELECT min(timestamp) FROM log_events WHERE stream = id) WHERE id = ?",
                        (size, row["id"]),
                    )


def event_size(message: str) -> int:
    """The bytes that AWS counts for an event."""
    return len(message.encode("utf-8", "replace")) + EVENT_OVERHEAD
