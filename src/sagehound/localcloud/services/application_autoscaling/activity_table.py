"""Scaling activities: a SQLite table of their own, one row an activity, from its first moment on."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.state.store import Record, Store

KEPT = 6 * 7 * 86400
"""Seconds: AWS tells of the last six weeks."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS scaling_activity (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, region TEXT NOT NULL, namespace TEXT NOT NULL,
    resource_id TEXT NOT NULL, dimension TEXT NOT NULL, description TEXT NOT NULL, cause TEXT NOT NULL,
    details TEXT NOT NULL, began REAL NOT NULL, ended REAL, status TEXT NOT NULL, message TEXT NOT NULL,
    reasons TEXT NOT NULL, before INTEGER, after INTEGER, policy TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS scaling_activity_of ON scaling_activity (region, namespace, resource_id, number);
CREATE INDEX IF NOT EXISTS scaling_activity_open ON scaling_activity (status) WHERE ended IS NULL;
"""
PENDING, IN_PROGRESS, SUCCESSFUL = "Pending", "InProgress", "Successful"
OVERRIDDEN, UNFULFILLED, FAILED = "Overridden", "Unfulfilled", "Failed"
_MEMBERS = (
    "id, region, namespace, resource_id, dimension, description, cause, details, began, ended, status, message, "
    "reasons, before, after, policy"
)


@dataclass(frozen=True, slots=True)
class Activity:
    """One scaling activity. `before` and `after` are capacities (None for one that changes none), `policy` is the
    scaling policy that wanted it, "" when it were the bounds."""

    region: str
    namespace: str
    resource_id: str
    dimension: str
    description: str
    cause: str
    began: float
    status: str
    before: int | None = None
    after: int | None = None
    policy: str = ""
    ended: float | None = None
    message: str = ""
    details: str = ""
    reasons: Sequence[Mapping[str, Any]] = ()
    number: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def of(
        cls, region: str, target: Record, description: str, cause: str, began: float, status: str, **more: Any
    ) -> Activity:
        """One of a scalable target, from the target's record."""
        what = (target["ServiceNamespace"], target["ResourceId"], target["ScalableDimension"])
        return cls(region, *what, description, cause, began, status, **more)

    @property
    def added(self) -> int:
        """The units that it adds; below 0 for those that it takes away."""
        return 0 if self.before is None or self.after is None else self.after - self.before

    def shown(self) -> Record:
        """The same with AWS's members."""
        found: Record = {
            "ActivityId": self.id,
            "ServiceNamespace": self.namespace,
            "ResourceId": self.resource_id,
            "ScalableDimension": self.dimension,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": _moment(self.began),
            "StatusCode": self.status,
        }
        if self.ended is not None and self.after is not None:
            found["EndTime"] = _moment(self.ended)
        if self.message:
            found["StatusMessage"] = self.message
        if self.details:
            found["Details"] = self.details
        if self.reasons:
            found["NotScaledReasons"] = [dict(reason) for reason in self.reasons]
        return found


class ActivityTable:
    """Reads and writes of activities."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create_tables(_SCHEMA)

    def add(self, activity: Activity) -> int:
        """Keep a new activity and drop what is older than six weeks; its number."""
        values = (
            activity.id,
            activity.region,
            activity.namespace,
            activity.resource_id,
            activity.dimension,
            activity.description,
            activity.cause,
            activity.details,
            activity.began,
            activity.ended,
            activity.status,
            activity.message,
            json.dumps(list(activity.reasons)),
            activity.before,
            activity.after,
            activity.policy,
        )
        places = ", ".join("?" * len(values))
        with self._store.transaction():
            self._store.execute(
                "DELETE FROM scaling_activity WHERE began < ? AND ended IS NOT NULL", (activity.began - KEPT,)
            )
            sql = f"INSERT INTO scaling_activity ({_MEMBERS}) VALUES ({places}) RETURNING number"
            return int(self._store.execute(sql, values)[0][0])

    def update(self, number: int, status: str, message: str, ended: float | None = None) -> None:
        """An activity has got on, or with `ended` come to its end."""
        sql = "UPDATE scaling_activity SET status = ?, message = ?, ended = ? WHERE number = ?"
        self._store.execute(sql, (status, message, ended, number))

    def remove(self, number: int) -> None:
        """Forget an activity that did not begin."""
        self._store.execute("DELETE FROM scaling_activity WHERE number = ?", (number,))

    def open(self, region: str | None = None, resource_id: str | None = None) -> list[Activity]:
        """The activities that have not come to their end, of one resource or of all."""
        sql = (
            "SELECT * FROM scaling_activity WHERE ended IS NULL AND (:region IS NULL OR region = :region)"
            " AND (:resource IS NULL OR resource_id = :resource) ORDER BY number"
        )
        rows = self._store.execute(sql, {"region": region, "resource": resource_id})
        return [_activity(row) for row in rows]

    def numbers(self, region: str, request: Mapping[str, Any], since: float) -> list[int]:
        """The activities of a Describe request, the newest first."""
        sql = (
            "SELECT number FROM scaling_activity WHERE region = :region AND namespace = :namespace AND began >= :since"
            " AND (:resource IS NULL OR resource_id = :resource) AND (:dimension IS NULL OR dimension = :dimension)"
            " AND (:all OR reasons = '[]') ORDER BY number DESC"
        )
        named = {
            "region": region,
            "namespace": request["ServiceNamespace"],
            "resource": request.get("ResourceId"),
            "dimension": request.get("ScalableDimension"),
            "since": since,
            "all": request.get("IncludeNotScaledActivities", False),
        }
        return [row["number"] for row in self._store.execute(sql, named)]

    def get(self, number: int) -> Activity:
        """One activity."""
        return _activity(self._store.execute("SELECT * FROM scaling_activity WHERE number = ?", (number,))[0])

    def last_told(self, target: Record, region: str, cause: str) -> Activity | None:
        """The newest activity of a target that changed something or that has this cause."""
        sql = (
            "SELECT * FROM scaling_activity WHERE region = ? AND namespace = ? AND resource_id = ?"
            " AND (reasons = '[]' OR cause = ?) ORDER BY number DESC LIMIT 1"
        )
        rows = self._store.execute(sql, (region, target["ServiceNamespace"], target["ResourceId"], cause))
        return _activity(rows[0]) if rows else None

    def last_by_policy(self, target: Record, region: str, *, out: bool) -> Activity | None:
        """The last change that a policy brought about since the target was registered, outwards or inwards, and that
        came to an end which the service kept: fulfilled, or in part."""
        sql = (
            "SELECT * FROM scaling_activity WHERE region = ? AND namespace = ? AND resource_id = ? AND number > ?"
            f" AND policy != '' AND status IN (?, ?) AND after {'>' if out else '<'} before"
            " ORDER BY number DESC LIMIT 1"
        )
        named = region, target["ServiceNamespace"], target["ResourceId"], target["activitiesBefore"]
        rows = self._store.execute(sql, (*named, SUCCESSFUL, UNFULFILLED))
        return _activity(rows[0]) if rows else None

    def last_number(self) -> int:
        """The number of the newest activity of all that are kept; 0 when there is none. No number is given twice."""
        return int(self._store.execute("SELECT coalesce(max(number), 0) FROM scaling_activity")[0][0])


def _activity(row: sqlite3.Row) -> Activity:
    named = {name: row[name] for name in row.keys()}  # noqa: SIM118
    return Activity(**{**named, "reasons": json.loads(row["reasons"])})


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds, 3), UTC)
