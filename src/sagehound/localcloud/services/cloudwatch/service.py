"""CloudWatch metrics and alarms as the gateway and the other services see them."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.services.cloudwatch.aggregator import MetricAggregator
from sagehound.localcloud.services.cloudwatch.alarms import Alarms
from sagehound.localcloud.services.cloudwatch.listing import MetricListing
from sagehound.localcloud.services.cloudwatch.metric_data import MetricData
from sagehound.localcloud.services.cloudwatch.putting import MetricWriting
from sagehound.localcloud.services.cloudwatch.statistic_set import StatisticSet, merged
from sagehound.localcloud.services.cloudwatch.statistics import MetricStatistics
from sagehound.localcloud.services.cloudwatch.tables import Datum, MetricTables, sorted_dimensions
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

logger = logging.getLogger(__name__)

FOLD_SECONDS = 3600.0


class CloudWatch:
    """Metrics. `put` is durable when it returns; `aggregator.put` is for hot paths and durable within a second."""

    name = "cloudwatch"

    def __init__(self, store: Store, clock: Clock, account_id: str) -> None:
        self._clock = clock
        self._tables = MetricTables(store)
        self.aggregator = MetricAggregator(self._tables)
        self.alarms = Alarms(clock, account_id, self._tables, self.aggregator)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def operations(self) -> dict[str, Operation]:
        """The operations by AWS's names."""
        readers = (
            reader(self._clock, self._tables, self.aggregator)
            for reader in (MetricStatistics, MetricData, MetricListing)
        )
        metrics = operations_of(MetricWriting(self._clock, self._tables), *readers)
        return {**metrics, **self.alarms.operations}

    async def start(self) -> None:
        """Begin to store what gathers in the aggregator and to fold old data. `alarms` starts when whoever alarms act
        on has started, and stops before them."""
        self._tables.begin(self._clock)
        self._tasks = [asyncio.create_task(self.aggregator.flush_for_ever()), asyncio.create_task(self._fold())]

    async def stop(self) -> None:
        """Store what has gathered and end the loops."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.aggregator.flush()

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
        """Keep one value at its second; inside a transaction of the store it is part of that transaction.

        NaN and infinity (the loss of a training that diverged) are left out: AWS has no place for them.
        """
        self.put_values(region, namespace, name, [value], dimensions, timestamp, unit)

    def put_values(
        self,
        region: str,
        namespace: str,
        name: str,
        values: Iterable[float],
        dimensions: dict[str, str],
        timestamp: datetime,
        unit: str = "None",
    ) -> None:
        """Keep values of one second as `put` keeps one; however many, they are read and written as one row."""
        sets = [StatisticSet.of(value) for value in values if math.isfinite(value)]
        if sets:
            moment = int(timestamp.timestamp())
            self._tables.add(
                region, namespace, [Datum(name, sorted_dimensions(dimensions), moment, unit, merged(sets))]
            )

    async def _fold(self) -> None:
        while True:
            try:
                for metric in self._tables.ids():
                    self._tables.fold(metric, int(self._clock.time()))
                    await asyncio.sleep(0)
            except sqlite3.OperationalError as error:
                logger.warning("old metrics are not folded yet: %s", error)
            await self._clock.sleep(FOLD_SECONDS)
