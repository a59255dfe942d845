"""Events that functions will be called with: a table of their own, so that what was acknowledged survives kill -9."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.state.store import Store

MAX_EVENT = 1024 * 1024
"""Bytes of an event that is taken for later."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS lambda_event (
    number INTEGER PRIMARY KEY, request_id TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
    qualifier TEXT NOT NULL, arn TEXT NOT NULL, payload BLOB NOT NULL, client_context TEXT, trace_id TEXT,
    accepted REAL NOT NULL, due REAL NOT NULL, failures INTEGER NOT NULL, throttles INTEGER NOT NULL,
    hops INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One event that was accepted and has not come to its end."""

    number: int
    request_id: str
    region: str
    name: str
    qualifier: str
    """As the caller said it; $LATEST when nothing was said."""
    arn: str
    payload: bytes
    client_context: str | None
    trace_id: str | None
    accepted: float
    """On the cloud's clock."""
    due: float
    failures: int
    """How often the handler has failed with it."""
    throttles: int
    """How often there was no place for it, since it last ran."""
    hops: int
    """How many functions handed it on, each to its destination."""
    attempts: int = 0
    """How often it has run by the end of the attempt that is being told of."""


_STORED = tuple(field.name for field in fields(Event) if field.name not in ("number", "attempts"))
_COLUMNS = ", ".join(_STORED)


class EventTable:
    """The rows of all events."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.create_tables(_SCHEMA)

    def add(self, event: Event) -> int:
        """Store an event; its number."""
        values = tuple(getattr(event, name) for name in _STORED)
        places = ", ".join("?" * len(values))
        sql = f"INSERT INTO lambda_event ({_COLUMNS}) VALUES ({places}) RETURNING number"
        return int(self.store.execute(sql, values)[0][0])

    def get(self, number: int) -> Event | None:
        """The event, or None when it has come to its end."""
        rows = self.store.execute(f"SELECT number, {_COLUMNS} FROM lambda_event WHERE number = ?", (number,))
        return _event(rows[0]) if rows else None

    def waiting(self) -> list[tuple[int, float, float, tuple[str, str]]]:
        """Number, due, accepted and (region, function) of every event, in the order in which they came."""
        rows = self.store.execute("SELECT number, due, accepted, region, name FROM lambda_event ORDER BY number")
        return [(row["number"], row["due"], row["accepted"], (row["region"], row["name"])) for row in rows]

    def postpone(self, number: int, due: float, *, failures: int, throttles: int) -> None:
        """Try an event again at `due`."""
        sql = "UPDATE lambda_event SET due = ?, failures = ?, throttles = ? WHERE number = ?"
        self.store.execute(sql, (due, failures, throttles, number))

    def shift(self, number: int, due: float, accepted: float) -> None:
        """Move an event in time."""
        self.store.execute("UPDATE lambda_event SET due = ?, accepted = ? WHERE number = ?", (due, accepted, number))

    def remove(self, number: int) -> None:
        """The event has come to its end."""
        self.store.execute("DELETE FROM lambda_event WHERE number = ?", (number,))


def _event(row: sqlite3.Row) -> Event:
    return Event(**{name: row[name] for name in row.keys()})  # noqa: SIM118 (a Row iterates over its values)


def too_large_an_event(size: int) -> AwsError:
    """RequestTooLargeException, as Invoke answers it."""
    message = f"{size} byte payload is too large for the Event invocation type (limit {MAX_EVENT} bytes)"
    return AwsError("RequestTooLargeException", message, 413, members={"Type": "User"})
