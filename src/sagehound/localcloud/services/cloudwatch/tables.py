"""The SQLite tables of metrics: one row for a metric, one for its values of one second (or minute) and unit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from sagehound.localcloud.services.cloudwatch.statistic_set import StatisticSet, merged
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    dimensions TEXT NOT NULL, last_seen INTEGER NOT NULL,
    UNIQUE (region, namespace, name, dimensions)
);
CREATE TABLE IF NOT EXISTS metric_data (
    metric INTEGER NOT NULL, timestamp INTEGER NOT NULL, unit TEXT NOT NULL,
    count REAL NOT NULL, sum REAL NOT NULL, minimum REAL NOT NULL, maximum REAL NOT NULL, distribution TEXT,
    PRIMARY KEY (metric, timestamp, unit)
) WITHOUT ROWID;
"""
_READ = """
SELECT :start + (timestamp - :start) / :period * :period, {unit},
    sum(count), sum(sum), min(minimum), max(maximum), {distribution}
FROM metric_data
WHERE metric = (
    SELECT id FROM metrics
    WHERE region = :region AND namespace = :namespace AND name = :name AND dimensions = :dimensions
) AND timestamp >= :start AND timestamp < :end AND (:unit IS NULL OR unit = :unit)
GROUP BY 1, 2 ORDER BY 1, 2
"""
_JOINED = (
    "CASE WHEN count(distribution) = count(*) THEN '[[' || group_concat(trim(distribution, '[]'), '],[') || ']]' END"
)
"""The pairs of all distributions in one list of pairs; NULL if one of them is not known."""
HOUR, DAY = 3600, 86_400
FOLDS = ((3 * HOUR, 60), (15 * DAY, 300), (63 * DAY, HOUR))
"""Data older than the first are kept in steps of the second."""
KEPT = 455 * DAY

_CLOCK = "cloudwatch-clock"
"""The kind of the one record that says how fast the clock of the last start was."""

Dimensions = tuple[tuple[str, str], ...]


class Datum(NamedTuple):
    """Values of one metric at one second since 1970. `dimensions` are sorted pairs."""

    name: str
    dimensions: Dimensions
    timestamp: int
    unit: str
    values: StatisticSet


class Point(NamedTuple):
    """The values of a period: when it begins, and their unit ("" where units are not kept apart)."""

    timestamp: int
    unit: str
    values: StatisticSet


def sorted_dimensions(dimensions: dict[str, str]) -> Dimensions:
    """Dimensions as a key: their order does not tell metrics apart."""
    return tuple(sorted(dimensions.items()))


class Metric(NamedTuple):
    """What names a metric."""

    region: str
    namespace: str
    name: str
    dimensions: Dimensions


class MetricTables:
    """Reads and writes of metrics and their values."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.create_tables(_SCHEMA)

    def add(self, region: str, namespace: str, data: Iterable[Datum]) -> None:
        """Store values; those of one metric, second and unit are merged."""
        with self.store.transaction() as connection:
            for datum in data:
                metric = self._metric_id(region, namespace, datum)
                key = (metric, datum.timestamp, datum.unit)
                sql = "SELECT * FROM metric_data WHERE metric = ? AND timestamp = ? AND unit = ?"
                there = [_values(row) for row in connection.execute(sql, key)]
                values = merged([*there, datum.values]) if there else datum.values
                connection.execute("INSERT OR REPLACE INTO metric_data VALUES (?,?,?,?,?,?,?,?)", _row(key, values))

    def read(
        self,
        metric: Metric,
        start: int,
        end: int,
        period: int,
        *,
        unit: str | None = None,
        units_apart: bool = False,
        distributions: bool = True,
    ) -> list[Point]:
        """The values of exactly this metric by period, from `start` until before `end`, in order of time. What needs no
        distributions (anything but percentiles) is several times as fast without them."""
        parameters = {"start": start, "end": end, "period": period, "unit": unit, **metric._asdict()}
        sql = _READ.format(unit="unit" if units_apart else "''", distribution=_JOINED if distributions else "NULL")
        rows = self.store.execute(sql, {**parameters, "dimensions": json.dumps(metric.dimensions)})
        return [Point(row[0], row[1], _values(row)) for row in rows]

    def matching(
        self, region: str, namespace: str | None, name: str | None, since: int, after: int
    ) -> list[tuple[int, str, str, Dimensions]]:
        """(id, namespace, name, dimensions) of the metrics with data since then, in order of id, behind id `after`."""
        rows = self.store.execute(
            "SELECT * FROM metrics WHERE region = :region AND id > :after AND last_seen >= :since"
            " AND (:namespace IS NULL OR namespace = :namespace) AND (:name IS NULL OR name = :name) ORDER BY id",
            {"region": region, "namespace": namespace, "name": name, "since": since, "after": after},
        )
        return [
            (
                row["id"],
                row["namespace"],
                row["name"],
                tuple((key, value) for key, value in json.loads(row["dimensions"])),
            )
            for row in rows
        ]

    def ids(self) -> list[int]:
        """Every metric's id."""
        return [row["id"] for row in self.store.execute("SELECT id FROM metrics")]

    def fold(self, metric: int, now: int) -> None:
        """Bring the old values of a metric into the coarser steps of their age, and drop the oldest."""
        with self.store.transaction() as connection:
            connection.execute("DELETE FROM metric_data WHERE metric = ? AND timestamp < ?", (metric, now - KEPT))
            for age, step in FOLDS:
                self._fold_into(metric, (now - age) // step * step, step)

    def begin(self, clock: Clock) -> None:
        """Drop what a fast clock has counted ahead of this one, which comes through the same minutes once more; the
        metrics of training jobs stay, since no other job will have the name. What a client has reported for the future
        (AWS takes two hours of it) stays where the clock was not a fast one."""
        with self.store.transaction() as connection:
            before = self.store.get(_CLOCK, "", "")
            if before is not None and before["speed"] > 1:
                ahead = {"now": int(clock.time()), "jobs": "/aws/sagemaker/TrainingJobs"}
                of_others = "SELECT id FROM metrics WHERE namespace <> :jobs"
                connection.execute(f"DELETE FROM metric_data WHERE timestamp > :now AND metric IN ({of_others})", ahead)
                connection.execute(
                    "UPDATE metrics SET last_seen = :now WHERE last_seen > :now AND namespace <> :jobs", ahead
                )
            self.store.put(_CLOCK, "", "", {"speed": clock.speed})

    def _fold_into(self, metric: int, before: int, step: int) -> None:
        sql = (
            "DELETE FROM metric_data WHERE metric = :metric AND timestamp < :before AND timestamp / :step IN"
            " (SELECT timestamp / :step FROM metric_data"
            " WHERE metric = :metric AND timestamp < :before AND timestamp % :step <> 0) RETURNING *"
        )
        groups: dict[tuple[int, str], list[StatisticSet]] = {}
        for row in self.store.execute(sql, {"metric": metric, "before": before, "step": step}):
            groups.setdefault((row["timestamp"] // step * step, row["unit"]), []).append(_values(row))
        for (timestamp, unit), sets in groups.items():
            values = _row((metric, timestamp, unit), merged(sets))
            self.store.execute("INSERT INTO metric_data VALUES (?,?,?,?,?,?,?,?)", values)

    def _metric_id(self, region: str, namespace: str, datum: Datum) -> int:
        sql = (
            "INSERT INTO metrics (region, namespace, name, dimensions, last_seen) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET last_seen = max(last_seen, excluded.last_seen) RETURNING id"
        )
        dimensions = json.dumps(datum.dimensions)
        return int(self.store.execute(sql, (region, namespace, datum.name, dimensions, datum.timestamp))[0][0])


def _row(key: tuple[int, int, str], values: StatisticSet) -> tuple[int | float | str | None, ...]:
    distribution = None
    if values.distribution is not None:
        distribution = json.dumps(list(values.distribution.items()), separators=(",", ":"))
    return (*key, values.count, values.sum, values.minimum, values.maximum, distribution)


def _values(row: sqlite3.Row) -> StatisticSet:
    """The last columns of a row of metric_data, or of several together."""
    count, total, minimum, maximum, pairs = row[-5:]
    if pairs is None:
        return StatisticSet(count, total, minimum, maximum, None)
    distribution: dict[float, float] = {}
    for value, times in json.loads(pairs):
        distribution[value] = distribution.get(value, 0.0) + times
    return StatisticSet(count, total, minimum, maximum, distribution)
