"""Every record of the cloud in one SQLite file: what was acknowledged is there after kill -9."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, region, name)
) WITHOUT ROWID;
"""


class Store:
    """Records as the AWS dicts that they are, by (kind, region, name); services with many rows add tables of their own.

    One connection and one lock serve all threads: a write takes tens of microseconds (WAL, synchronous=NORMAL), which
    is less than handing it to another thread. WAL NORMAL survives the death of the process at any moment; `durable`
    (synchronous=FULL) survives a power cut too, at one disk flush a write.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._changes: Counter[str] = Counter()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._connection.execute("PRAGMA busy_timeout=5000")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Fold the log into the file and close it."""
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All writes inside are acknowledged together or not at all. Nests: the outermost one commits."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._roll_back()
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            # A commit that fails (a full disk) may leave the transaction open, and no other could begin.
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # Some errors roll back by themselves.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def create_tables(self, script: str) -> None:
        """Run a service's own `CREATE TABLE IF NOT EXISTS ...` statements."""
        with self._lock:
            self._connection.executescript(script)

    def execute(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        """Run one statement against a service's own tables and return all its rows."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def put(self, kind: str, region: str, name: str, record: Record) -> None:
        """Create or replace a record."""
        self._write("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", (kind, region, name, dumps(record)))

    def add(self, kind: str, region: str, name: str, record: Record) -> bool:
        """Create a record; False, and nothing is written, when the name is taken."""
        sql = "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?) RETURNING 1"
        return bool(self._write(sql, (kind, region, name, dumps(record))))

    def get(self, kind: str, region: str, name: str) -> Record | None:
        """The record, or None."""
        sql = "SELECT body FROM records WHERE kind = ? AND region = ? AND name = ?"
        rows = self.execute(sql, (kind, region, name))
        return loads(rows[0][0]) if rows else None

    def delete(self, kind: str, region: str, name: str) -> bool:
        """Remove a record; False when there was none."""
        sql = "DELETE FROM records WHERE kind = ? AND region = ? AND name = ? RETURNING 1"
        return bool(self._write(sql, (kind, region, name)))

    def changes(self, kinds: Iterable[str]) -> tuple[int, ...]:
        """How often records of these kinds were written: what was read before is as good as long as this is the same.

        A write counts after it was made and under the lock: who reads in between sees it counted the next time.
        """
        return tuple([self._changes[kind] for kind in kinds])

    def _write(self, sql: str, parameters: tuple[Any, ...]) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            finally:
                self._changes[parameters[0]] += 1

    def list(self, kind: str, region: str | None = None) -> list[Record]:
        """All records of a kind in one region (or in all of them), ordered by name."""
        if region is None:
            rows = self.execute("SELECT body FROM records WHERE kind = ? ORDER BY region, name", (kind,))
        else:
            rows = self.execute("SELECT body FROM records WHERE kind = ? AND region = ? ORDER BY name", (kind, region))
        return [loads(row[0]) for row in rows]


def dumps(record: Any) -> str:
    """JSON with two additions that AWS records need: datetimes and bytes."""
    return json.dumps(record, default=_encode, separators=(",", ":"))


def loads(text: str) -> Any:
    """The inverse of `dumps`."""
    return json.loads(text, object_hook=_decode)


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, bytes | bytearray):
        return {"$bytes": base64.b64encode(value).decode()}
    raise TypeError(f"a record cannot hold {type(value).__name__}")


def _decode(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        if "$time" in value:
            return datetime.fromisoformat(value["$time"])
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
    return value
