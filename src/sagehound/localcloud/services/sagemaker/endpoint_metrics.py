"""What an endpoint's invocations are counted as in CloudWatch, and how many are on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from sagehound.localcloud.services.sagemaker.needs import MetricCounter
from sagehound.localcloud.state.clock import Clock

INVOCATIONS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"
SAMPLE_SECONDS = 10
"""ConcurrentRequestsPerModel is a high-resolution metric: one sample of each instance every ten seconds."""
PUBLISH_SECONDS = 60
"""How often utilization is published, unless MetricPublishFrequencyInSeconds says otherwise."""
_NOT_ASYNCHRONOUS = frozenset({"Invocations", "InvocationsPerInstance", "OverheadLatency"})
"""What asynchronous endpoints do not have: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-monitor.html"""


class Counted(Protocol):
    """A variant in service, as far as its metrics go."""

    @property
    def name(self) -> str: ...
    @property
    def enhanced(self) -> bool:
        """EnableEnhancedMetrics: every instance has series of its own too."""

    @property
    def asynchronous(self) -> bool: ...
    @property
    def active(self) -> int:
        """How many of its instances are in service."""


class Invoked(NamedTuple):
    """An invocation of an endpoint as it ended."""

    region: str
    endpoint: str
    variant: Counted
    instance_id: str | None
    total: float
    """Seconds that it took in all."""
    model_seconds: float | None
    """Of those, the model server's; None when none answered."""
    status: int
    """Of HTTP; 0 stands for no answer."""


class EndpointMetrics:
    """Counts invocations beside their answers, and keeps the samples of requests on their way."""

    def __init__(self, clock: Clock, counter: MetricCounter) -> None:
        self._clock = clock
        self._counter = counter
        self._asked: dict[int, set[tuple[str, str, str]]] = {}
        """Which variants (region, endpoint, name) were invoked in each minute that `passed` has not looked at."""

    def passed(self, minute: int, variants: Iterable[tuple[str, str, str]]) -> None:
        """A minute has passed: a zero for each variant that was not invoked in it, so that what nobody asks scales in,
        as on AWS."""
        moment = datetime.fromtimestamp(minute * 60 + 59, UTC)
        for region, endpoint, name in set(variants) - self._asked.pop(minute, set()):
            dimensions = {"EndpointName": endpoint, "VariantName": name}
            for metric in ("Invocations", "InvocationsPerInstance"):
                self._counter.put(region, INVOCATIONS, metric, 0.0, dimensions, moment, "None")

    def count(self, invocation: Invoked) -> None:
        """Count an invocation once its answer is on its way."""
        asyncio.get_running_loop().call_soon(self._count, invocation)

    def concurrent(self, region: str, endpoint: str, variant: Counted, on_their_way: dict[str, float]) -> None:
        """Keep one sample of each instance: its requests in flight and its share of those that wait for an instance.

        So the average is what one instance has, the maximum what the busiest has, and the sum the whole variant.
        """
        for instance_id, requests in on_their_way.items():
            values = [("ConcurrentRequestsPerModel", requests, "None")]
            self.put(region, INVOCATIONS, endpoint, variant, instance_id, values, self._clock.now())

    def put(
        self,
        region: str,
        namespace: str,
        endpoint: str,
        variant: Counted,
        instance_id: str | None,
        values: list[tuple[str, float, str]],
        now: datetime,
    ) -> None:
        """Add values to the variant's series, with enhanced metrics to the instance's too."""
        dimensions = {"EndpointName": endpoint, "VariantName": variant.name}
        for metric, value, unit in values:
            self._counter.put(region, namespace, metric, value, dimensions, now, unit)
        if variant.enhanced and instance_id is not None:
            dimensions = {**dimensions, "InstanceId": instance_id}
            for metric, value, unit in values:
                self._counter.put(region, namespace, metric, value, dimensions, now, unit)

    def _count(self, invocation: Invoked) -> None:
        region, endpoint, variant, instance_id, total, model_seconds, status = invocation
        now = self._clock.now()
        self._asked.setdefault(int(now.timestamp()) // 60, set()).add((region, endpoint, variant.name))
        values = [
            ("Invocations", 1.0, "None"),
            # AWS sends 1/numberOfInstances with each request: the sum of a minute is what one instance was asked.
            ("InvocationsPerInstance", 1.0 / max(1, variant.active), "None"),
            ("Invocation4XXErrors", float(400 <= status < 500), "None"),
            ("Invocation5XXErrors", float(status >= 500 or status == 0), "None"),
        ]
        if model_seconds is not None:
            values.append(("ModelLatency", model_seconds * 1e6, "Microseconds"))
            values.append(("OverheadLatency", max(0.0, total - model_seconds) * 1e6, "Microseconds"))
        if variant.asynchronous:
            values = [value for value in values if value[0] not in _NOT_ASYNCHRONOUS]
        self.put(region, INVOCATIONS, endpoint, variant, instance_id, values, now)
