"""The values of a tuning job's objective that its training jobs print, in order: what early stopping goes by"""

from __future__ import annotations

from sagehound.localcloud.state.store import Store

MOST = 20_000
"""Values that are kept of one job, the greatest MaxResource; those that come later only replace the final one."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS training_values (
    region TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, host TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (region, name, position)
) WITHOUT ROWID;
"""
_OF = "FROM training_values WHERE region = ? AND name = ?"


class TrainingValues:
    """One series a training job, from the host that printed the first value, where several hosts print it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create_tables(self) -> None:
        """Make the table where it is missing."""
        self._store.create_tables(_SCHEMA)

    def append(self, region: str, name: str, host: str, values: list[float]) -> None:
        """Add what `host` has printed."""
        rows = self._store.execute(f"SELECT position, host {_OF} ORDER BY position DESC LIMIT 1", (region, name))
        first, owner = (rows[0]["position"] + 1, rows[0]["host"]) if rows else (0, host)
        if owner != host:
            return
        for position, value in enumerate(values[: MOST - first], first):
            self._store.execute(
                "INSERT INTO training_values VALUES (?, ?, ?, ?, ?)", (region, name, position, host, value)
            )

    def of(self, region: str, name: str) -> list[float]:
        """The series of a job."""
        return [row[0] for row in self._store.execute(f"SELECT value {_OF} ORDER BY position", (region, name))]

    def delete(self, region: str, name: str) -> None:
        """Forget the series of a job."""
        self._store.execute(f"DELETE {_OF}", (region, name))
