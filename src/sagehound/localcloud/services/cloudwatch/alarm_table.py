"""The alarms as records, and their history in a table of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sagehound.localcloud.scaling.alarm import AlarmRule
from sagehound.localcloud.services.cloudwatch.alarm_checks import rule_of
from sagehound.localcloud.state.store import Store, loads

KIND = "cloudwatch-alarm"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS alarm_history (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL,
    type TEXT NOT NULL, summary TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS alarm_history_name ON alarm_history (region, name, id);
CREATE INDEX IF NOT EXISTS alarm_history_at ON alarm_history (at);
"""


Item = tuple[float, str, str, str]
"""Of the history: when, AWS's HistoryItemType, the summary, the data as JSON."""


@dataclass(slots=True)
class Alarm:
    """One alarm. `metric` is AWS's MetricAlarm."""

    region: str
    metric: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.metric["AlarmName"])

    @property
    def arn(self) -> str:
        return str(self.metric["AlarmArn"])

    @property
    def state(self) -> str:
        return str(self.metric["StateValue"])

    @property
    def rule(self) -> AlarmRule:
        return rule_of(self.metric)


class HistoryRow(NamedTuple):
    """One item of the history as it is stored; `type` is AWS's HistoryItemType."""

    id: int
    name: str
    at: float
    type: str
    summary: str
    data: str


class AlarmTable:
    """The store is the truth, also after a transaction that was rolled back. A record is parsed once, as long as it
    stays the same: a loop looks at a thousand alarms each minute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create_tables(_SCHEMA)
        self._parsed: dict[tuple[str, str], tuple[str, Alarm]] = {}

    def get(self, region: str, name: str) -> Alarm | None:
        """An alarm, or None. Whoever changes it makes another and puts that."""
        sql = "SELECT body FROM records WHERE kind = ? AND region = ? AND name = ?"
        rows = self._store.execute(sql, (KIND, region, name))
        return self._alarm(region, name, rows[0]["body"]) if rows else None

    def all(self) -> list[Alarm]:
        """Every alarm of every region."""
        rows = self._store.execute("SELECT region, name, body FROM records WHERE kind = ?", (KIND,))
        if len(rows) < len(self._parsed):
            there = {(row["region"], row["name"]) for row in rows}
            self._parsed = {key: value for key, value in self._parsed.items() if key in there}
        return [self._alarm(*row) for row in rows]

    def of_region(self, region: str) -> list[Alarm]:
        """The alarms of a region, ordered by name."""
        sql = "SELECT region, name, body FROM records WHERE kind = ? AND region = ? ORDER BY name"
        return [self._alarm(*row) for row in self._store.execute(sql, (KIND, region))]

    def count(self, region: str) -> int:
        """How many alarms a region has."""
        sql = "SELECT count(*) FROM records WHERE kind = ? AND region = ?"
        return int(self._store.execute(sql, (KIND, region))[0][0])

    def _alarm(self, region: str, name: str, body: str) -> Alarm:
        known = self._parsed.get((region, name))
        if known is not None and known[0] == body:
            return known[1]
        record = loads(body)
        alarm = Alarm(region, record["MetricAlarm"], record["Tags"])
        self._parsed[(region, name)] = (body, alarm)
        return alarm

    def put(self, alarm: Alarm, items: Iterable[Item] = ()) -> None:
        """Keep an alarm and what happened to it in one transaction."""
        self.put_all([(alarm, items)])

    def put_all(self, alarms: Iterable[tuple[Alarm, Iterable[Item]]]) -> None:
        """Keep several alarms; all of them or, when that fails, none."""
        with self._store.transaction():
            for alarm, items in alarms:
                self._store.put(KIND, alarm.region, alarm.name, {"MetricAlarm": alarm.metric, "Tags": alarm.tags})
                self.tell(alarm, items)

    def delete(self, alarms: Iterable[tuple[Alarm, Item]]) -> None:
        """Forget alarms; their history stays and says so. All of them or, when that fails, none."""
        with self._store.transaction():
            for alarm, item in alarms:
                self._store.delete(KIND, alarm.region, alarm.name)
                self.tell(alarm, [item])

    def tell(self, alarm: Alarm, items: Iterable[Item]) -> None:
        """Add items to the history of an alarm, together."""
        sql = "INSERT INTO alarm_history (region, name, at, type, summary, data) VALUES (?, ?, ?, ?, ?, ?)"
        rows = [(alarm.region, alarm.name, *item) for item in items]
        if not rows:
            return  # most evaluations have nothing to tell
        with self._store.transaction() as connection:
            connection.executemany(sql, rows)

    def history(self, region: str, filters: dict[str, Any], ascending: bool, limit: int) -> list[HistoryRow]:
        """Items of one region by name, type, from when, until when, and behind the id `after`."""
        order, behind = ("ASC", ">") if ascending else ("DESC", "<")
        sql = (
            "SELECT * FROM alarm_history WHERE region = :region AND (:name IS NULL OR name = :name)"
            " AND (:type IS NULL OR type = :type) AND (:since IS NULL OR at >= :since)"
            f" AND (:until IS NULL OR at <= :until) AND (:after IS NULL OR id {behind} :after)"
            f" ORDER BY id {order} LIMIT :limit"
        )
        rows = self._store.execute(sql, {**filters, "region": region, "limit": limit})
        return [HistoryRow(*(row[key] for key in HistoryRow._fields)) for row in rows]

    def forget_history(self, before: float) -> None:
        """Drop what happened before then."""
        self._store.execute("DELETE FROM alarm_history WHERE at < ?", (before,))
