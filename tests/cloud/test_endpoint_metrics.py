"""What endpoints are counted as: zeros of quiet minutes, and samples that go on whatever goes wrong with one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from sagehound.localcloud.services.cloudwatch.aggregator import MetricAggregator
from sagehound.localcloud.services.cloudwatch.tables import Metric, MetricTables
from sagehound.localcloud.services.sagemaker.endpoint_instance import Instance
from sagehound.localcloud.services.sagemaker.endpoint_metrics import INVOCATIONS, EndpointMetrics, Invoked
from sagehound.localcloud.services.sagemaker.endpoint_router import Router
from sagehound.localcloud.services.sagemaker.endpoint_sampling import EndpointSampling
from sagehound.localcloud.services.sagemaker.endpoint_variants import Variant
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from tests.waiting import until

REGION = "us-east-1"
VARIANT = Variant("AllTraffic", 1.0, [])
METRIC = Metric(REGION, INVOCATIONS, "Invocations", (("EndpointName", "dogs"), ("VariantName", "AllTraffic")))


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[MetricTables]:
    store = Store(tmp_path / "cloud.sqlite")
    yield MetricTables(store)
    store.close()


class Stopped(Clock):
    """A clock that stands at one moment."""

    def __init__(self, moment: float) -> None:
        super().__init__()
        self.moment = moment

    def time(self) -> float:
        return self.moment


class Counter:
    """The real aggregator behind a counter that fails once."""

    def __init__(self, tables: MetricTables) -> None:
        self.aggregator = MetricAggregator(tables)
        self.failed = False

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
        if not self.failed:
            self.failed = True
            raise ValueError("once")
        self.aggregator.put(region, namespace, name, value, dimensions, timestamp, unit)


class Hanging:
    """An instance whose processes take long to look at."""

    instance_id = "i-1"
    in_service = True
    ready = True
    in_flight = 0

    def __init__(self) -> None:
        self.looked_at = threading.Event()
        self.released = threading.Event()

    @property
    def record(self) -> dict[str, Any]:
        self.looked_at.set()
        assert self.released.wait(60)
        raise KeyError("Handle")


def invocations(tables: MetricTables, aggregator: MetricAggregator) -> dict[int, tuple[float, float]]:
    """By minute: how many values there are, and their sum."""
    aggregator.flush()
    points = tables.read(METRIC, 0, 2**40, 60)
    return {point.timestamp // 60: (point.values.count, point.values.sum) for point in points}


@pytest.mark.parametrize("moment", [11 * 60 + 30, 11 * 60 - 0.0004])
async def test_a_minute_without_invocations_is_a_zero_even_if_the_next_one_had_some(
    tables: MetricTables, moment: float
) -> None:
    """The second moment is one that is rounded into the next minute."""
    aggregator = MetricAggregator(tables)
    metrics = EndpointMetrics(Stopped(moment), aggregator)
    metrics.count(Invoked(REGION, "dogs", VARIANT, None, 0.1, 0.1, 200))
    await asyncio.sleep(0)
    for minute in (9, 10, 11, 12):
        metrics.passed(minute, [(REGION, "dogs", "AllTraffic")])
    assert invocations(tables, aggregator) == {9: (1, 0), 10: (1, 0), 11: (1, 1), 12: (1, 0)}


async def test_samples_go_on_after_an_error_of_any_kind(tables: MetricTables, caplog: pytest.LogCaptureFixture) -> None:
    clock, counter = Clock(600), Counter(tables)
    metrics = EndpointMetrics(clock, counter)
    router = Router(metrics, "123456789012")
    router.serve(REGION, "dogs", [VARIANT])
    sampling = EndpointSampling(clock, router, metrics)
    sampling.start()
    try:
        await until(lambda: counter.failed)
        await until(lambda: bool(invocations(tables, counter.aggregator)))
    finally:
        await sampling.stop()
    assert "ValueError: once" in caplog.text


async def test_requests_are_sampled_while_a_look_at_processes_takes_long(tables: MetricTables) -> None:
    clock, aggregator, hanging = Clock(600), MetricAggregator(tables), Hanging()
    metrics = EndpointMetrics(clock, aggregator)
    router = Router(metrics, "123456789012")
    router.serve(REGION, "dogs", [Variant("AllTraffic", 1.0, [cast(Instance, hanging)])])
    sampling = EndpointSampling(clock, router, metrics)
    sampling.start()
    try:
        await until(hanging.looked_at.is_set)
        begun = clock.time() // 60
        await until(lambda: max(invocations(tables, aggregator), default=0) > begun + 2)
    finally:
        hanging.released.set()
        await sampling.stop()
