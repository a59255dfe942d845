"""The loop that looks at every endpoint in service: requests on their way every ten seconds, utilization when due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
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
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sample."""
        self._task = asyncio.create_task(self._run(), name="samples of endpoints")

    async def stop(self) -> None:
        """End the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        before = int(self._clock.time()) // SAMPLE_SECONDS * SAMPLE_SECONDS
        while True:
            await self._clock.sleep(before + SAMPLE_SECONDS - self._clock.time())
            # On a fast clock a busy machine may be late for more than one sample.
            now = int(self._clock.time()) // SAMPLE_SECONDS * SAMPLE_SECONDS
            if now == before:
                continue  # timers may be a hair early
            try:
                self._sample_requests(range(before // MINUTE, now // MINUTE))
                await self._sample_instances(before, now)
            except (OSError, RuntimeError):
                logger.exception("no samples of endpoints at %s", now)
            before = now

    def _sample_requests(self, passed: range) -> None:
        """Requests on their way now, and what was not asked in the minutes that have passed."""
        for (region, endpoint), service in self._router.services():
            for variant in service.variants:
                self._metrics.concurrent(region, endpoint, variant, service.on_their_way(variant))
                for minute in passed:
                    self._metrics.quiet(region, endpoint, variant, minute)

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
                if active:
                    looks.append((region, endpoint, variant, active))
        self._meters = {name: meter for name, meter in self._meters.items() if name in there}
        for region, endpoint, variant, active in looks:
            for instance_id, usage in (await asyncio.to_thread(self._measure, active)).items():
                values = [(metric, value, "Percent") for metric, value in usage._asdict().items()]
                self._metrics.put(region, INSTANCES, endpoint, variant, instance_id, values)

    def _measure(self, instances: Iterable[Instance]) -> dict[str, Usage]:
        found = {}
        for instance in instances:
            handle = instance.record.get("Handle")
            if handle is not None:
                meter = self._meters.setdefault(instance.instance_id, UtilizationMeter())
                usage = meter.measure(handle["pid"], Path(handle["root"]))
                if usage is not None:
                    found[instance.instance_id] = usage
        return found
