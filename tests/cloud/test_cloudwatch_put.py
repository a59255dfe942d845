"""How other services count: durably in a transaction, cheaply through the aggregator; and how old data are folded."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sagehound.localcloud.services.cloudwatch.service import CloudWatch
from sagehound.localcloud.services.cloudwatch.statistic_set import StatisticSet, merged
from sagehound.localcloud.services.cloudwatch.tables import DAY, HOUR, Datum, Metric, MetricTables, sorted_dimensions
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

REGION, NAMESPACE = "us-east-1", "AWS/SageMaker"
VARIANT = {"EndpointName": "dogs", "VariantName": "AllTraffic"}
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SECOND = int(NOW.timestamp())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "cloud.sqlite")
    yield store
    store.close()


@pytest.fixture
def cloudwatch(store: Store) -> CloudWatch:
    return CloudWatch(store, Clock(), "123456789012")


def _read(store: Store, name: str) -> StatisticSet | None:
    metric = Metric(REGION, NAMESPACE, name, sorted_dimensions(VARIANT))
    return next((point.values for point in MetricTables(store).read(metric, SECOND, SECOND + 60, 60)), None)


def test_put_is_part_of_the_transaction(store: Store, cloudwatch: CloudWatch) -> None:
    with pytest.raises(sqlite3.OperationalError), store.transaction():
        cloudwatch.put(REGION, NAMESPACE, "loss", 1.0, VARIANT, NOW)
        store.execute("INSERT INTO no_such_table VALUES (1)")
    assert _read(store, "loss") is None
    cloudwatch.put(REGION, NAMESPACE, "loss", 1.0, VARIANT, NOW)
    cloudwatch.put(REGION, NAMESPACE, "loss", math.nan, VARIANT, NOW)
    assert _read(store, "loss") == StatisticSet(1, 1, 1, 1, {1.0: 1.0})


def test_aggregator_counts_what_put_counts(store: Store, cloudwatch: CloudWatch) -> None:
    for number in range(1000):
        value = float(number % 7)
        cloudwatch.put(REGION, NAMESPACE, "durable", value, VARIANT, NOW)
        cloudwatch.aggregator.put(REGION, NAMESPACE, "gathered", value, VARIANT, NOW)
    cloudwatch.aggregator.flush()
    assert _read(store, "gathered") == _read(store, "durable")
    assert _read(store, "gathered") is not None


async def test_the_loop_stores_what_gathered_and_stop_stores_the_rest(store: Store, cloudwatch: CloudWatch) -> None:
    await cloudwatch.start()
    cloudwatch.aggregator.put(REGION, NAMESPACE, "Invocations", 1.0, VARIANT, NOW)
    while not store.execute("SELECT * FROM metric_data"):  # noqa: ASYNC110 - the service's loop makes it true
        await asyncio.sleep(0.05)
    cloudwatch.aggregator.put(REGION, NAMESPACE, "Invocations", 1.0, VARIANT, NOW)
    await cloudwatch.stop()
    assert store.execute("SELECT count FROM metric_data")[0]["count"] == 2


@pytest.mark.parametrize(("speed", "left"), [(60.0, 60.0), (1.0, 3600.0)])
async def test_what_a_fast_clock_counted_ahead_is_gone_after_a_restart(store: Store, speed: float, left: float) -> None:
    """Otherwise the next clock, which begins at real time, would find its own minutes counted already."""
    now = int(time.time())
    first, second = (CloudWatch(store, clock, "123456789012") for clock in (Clock(speed), Clock()))
    await first.start()
    for namespace in (NAMESPACE, "/aws/sagemaker/TrainingJobs"):
        for seconds in (60, 3600):
            first.aggregator.put(REGION, namespace, "m", seconds, {}, datetime.fromtimestamp(now + seconds - 120, UTC))
    await first.stop()
    await second.start()
    await second.stop()
    for namespace, latest in ((NAMESPACE, left), ("/aws/sagemaker/TrainingJobs", 3600.0)):
        (point,) = MetricTables(store).read(Metric(REGION, namespace, "m", ()), now - 600, now + 7200, 9000)
        assert point.values.maximum == latest
    (metric,) = store.execute("SELECT last_seen FROM metrics WHERE namespace = ?", (NAMESPACE,))
    assert (metric["last_seen"] > now + 1800) == (left == 3600.0)


def test_many_distinct_values_keep_their_percentiles() -> None:
    total = merged(StatisticSet.of(float(value)) for value in range(1, 100_001))
    assert total.distribution is not None
    assert len(total.distribution) < 2000
    assert (total.count, total.minimum, total.maximum) == (100_000, 1, 100_000)
    for rank in (1, 50, 90, 99, 99.9):
        assert total.statistic(f"p{rank}") == pytest.approx(rank * 1000, rel=0.01)


def test_the_largest_values_have_percentiles_too() -> None:
    largest = sys.float_info.max
    total = merged(StatisticSet.of(largest - number * 1e294) for number in range(300))
    assert total.statistic("p50") == pytest.approx(largest, rel=0.01)


def test_old_data_are_folded_and_the_oldest_go(store: Store) -> None:
    tables = MetricTables(store)
    now = SECOND // DAY * DAY
    ages = {"seconds": HOUR, "minutes": 4 * HOUR, "five minutes": 16 * DAY, "hours": 64 * DAY, "gone": 456 * DAY}
    for name, age in ages.items():
        data = [Datum(name, (), now - age + second, "None", StatisticSet.of(1.0)) for second in range(0, HOUR // 2, 15)]
        tables.add(REGION, NAMESPACE, data)
    for metric in tables.ids() * 2:
        tables.fold(metric, now)
    points = {name: tables.read(Metric(REGION, NAMESPACE, name, ()), 0, now, 1) for name in ages}
    assert {name: len(found) for name, found in points.items()} == {
        "seconds": 120,
        "minutes": 30,
        "five minutes": 6,
        "hours": 1,
        "gone": 0,
    }
    for name in ("seconds", "minutes", "five minutes", "hours"):
        assert sum(point.values.count for point in points[name]) == 120


def test_what_could_not_be_stored_stays_gathered(store: Store, cloudwatch: CloudWatch) -> None:
    cloudwatch.aggregator.put(REGION, NAMESPACE, "Invocations", 1.0, VARIANT, NOW)
    store.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        cloudwatch.aggregator.flush()
    store.execute("PRAGMA query_only = OFF")
    cloudwatch.aggregator.put(REGION, NAMESPACE, "Invocations", 1.0, VARIANT, NOW)
    cloudwatch.aggregator.flush()
    assert _read(store, "Invocations") == StatisticSet(2, 2, 1, 1, {1.0: 2.0})
