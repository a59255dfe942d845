"""Counting on a hot path: values gather in memory and are stored once a second."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import datetime
from math import isfinite

from sagehound.localcloud.services.cloudwatch.statistic_set import StatisticSet
from sagehound.localcloud.services.cloudwatch.tables import Datum, MetricTables

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0


class MetricAggregator:
    """For what is counted at each request. A kill -9 costs at most the last second of counts; every read flushes first.

    Whoever must not lose a value (a training job's metrics) uses `CloudWatch.put`, which is durable when it returns.
    """

    def __init__(self, tables: MetricTables) -> None:
        self._tables = tables
        self._gathered: dict[tuple[str, str, str, tuple[tuple[str, str], ...], int, str], StatisticSet] = {}

    def put(
        self,
        region: str,
        namespace: str,
        name: str,
        value: float,
        dimensions: dict[str, str],
        timestamp: datetime,
        unit: str = "None",
    ) -> None:
        """Count one value (about two microseconds); what is no number has no place in a metric."""
        if not isfinite(value):
            return
        key = (region, namespace, name, tuple(dimensions.items()), int(timestamp.timestamp()), unit)
        known = self._gathered.get(key)
        if known is None:
            self._gathered[key] = StatisticSet.of(value)
        else:
            known.count += 1
            known.sum += value
            if value < known.minimum:
                known.minimum = value
            if value > known.maximum:
                known.maximum = value
            assert known.distribution is not None
            known.distribution[value] = known.distribution.get(value, 0.0) + 1

    def flush(self) -> None:
        """Store what has gathered; when that fails it stays gathered."""
        if not self._gathered:
            return
        with self._tables.store.transaction():
            for (region, namespace, name, dimensions, timestamp, unit), values in self._gathered.items():
                values.shorten()
                datum = Datum(name, tuple(sorted(dimensions)), timestamp, unit, values)
                self._tables.add(region, namespace, [datum])
        self._gathered = {}

    async def flush_for_ever(self) -> None:
        """Store once a second, and once more when cancelled."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                try:
                    self.flush()
                except sqlite3.OperationalError as error:
                    logger.warning("metrics are not stored yet: %s", error)
        finally:
            self.flush()
