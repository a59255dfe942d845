"""The loop that looks at every endpoint in service: requests on their way every ten seconds, utilization when due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from sagehound.localcloud.services.sagemaker.endpoint_instance import Instance
from sagehound.localcloud.services.sagemaker.endpoint_metrics import INSTANCES, SAMPLE_SECONDS, EndpointMetrics
from sagehound.localcloud.services.sagemaker.endpoint_router import Router
from sagehound.localcloud.services.sagemaker.endpoint_utilization import Usage, UtilizationMeter
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

MINUTE = 60


class EndpointSampling:
    """Samples at whole ten seconds of the cloud's clock, so that every period of ten seconds has one of its own."""

    def __init__(self, clock: Clock, router: Router, metrics: EndpointMetrics) -> None:
        self._clock = clock
        self._router = router
        self._metrics = metrics
        self._meters: dict[str, UtilizationMeter] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to sample. To look at processes may take longer than ten seconds of a fast clock: requests do not wait
        for it."""
        samples = (self._sample_requests, self._sample_instances)
        self._tasks = [asyncio.create_task(self._run(sample), name="samples of endpoints") for sample in samples]

    async def stop(self) -> None:
        """End the loops."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, sample: Callable[[int, int], Awaitable[None]]) -> None:
        before = int(self._clock.time()) // SAMPLE_SECONDS * SAMPLE_SECONDS
        while True:
            await self._clock.sleep(before + SAMPLE_SECONDS - self._clock.time())
            # On a fast clock a busy machine may be late for more than one sample.
            now = int(self._clock.time()) // SAMPLE_SECONDS * SAMPLE_SECONDS
            if now == before:
                continue  # timers may be a hair early
            try:
                await sample(before, now)
            except Exception:
                logger.exception("no samples of endpoints at %s", now)
            before = now

    async def _sample_requests(self, before: int, now: int) -> None:
        """Requests on their way now, and what was not asked in the minutes that have passed."""
        services = self._router.services()
        there = [
            (region, name, variant.name)
            for (region, name), service in services
            for variant in service.variants
            if not variant.asynchronous
        ]
        for minute in range(before // MINUTE, now // MINUTE):
            self._metrics.passed(minute, there)
        for (region, endpoint), service in services:
            for variant in service.variants:
                if not variant.asynchronous:
                    self._metrics.concurrent(region, endpoint, variant, service.on_their_way(variant))

    async def _sample_instances(self, before: int, now: int) -> None:
        """Utilization of what is due; a new instance is looked at, so that it has a beginning to count from."""
        looks = []
        there = set[str]()
        for (region, endpoint), service in self._router.services():
            for variant in service.variants:
                active = [instance for instance in variant.instances if instance.in_service]
                there.update(instance.instance_id for instance in active)
                if before // variant.publish_seconds == now // variant.publish_seconds:
                    active = [instance for instance in active if instance.instance_id not in self._meters]
                looks += [(region, endpoint, variant, instance) for instance in active]
        self._meters = {name: meter for name, meter in self._meters.items() if name in there}
        for region, endpoint, variant, instance in looks:
            try:
                usage = await asyncio.to_thread(self._measure, instance)
            except Exception:
                logger.exception("no utilization of %s of %s at %s", instance.instance_id, endpoint, now)
                continue
            if usage is not None:
                values = [(metric, value, "Percent") for metric, value in usage._asdict().items()]
                moment = self._clock.now()
                self._metrics.put(region, INSTANCES, endpoint, variant, instance.instance_id, values, moment)

    def _measure(self, instance: Instance) -> Usage | None:
        handle = instance.record.get("Handle")
        if handle is None:
            return None
        meter = self._meters.setdefault(instance.instance_id, UtilizationMeter())
        return meter.measure(handle["pid"], Path(handle["root"]))
