"""An endpoint in service: its variants, their instances, and who waits for one of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sagehound.localcloud.services.sagemaker.endpoint_capture import Capture
from sagehound.localcloud.services.sagemaker.endpoint_instance import Instance
from sagehound.localcloud.services.sagemaker.endpoint_metrics import PUBLISH_SECONDS
from sagehound.localcloud.services.sagemaker.endpoint_serverless import Pool
from sagehound.localcloud.services.sagemaker.endpoint_status import Record


@dataclass(slots=True)
class Variant:
    """A production variant in service: its weight and its instances."""

    name: str
    weight: float
    instances: list[Instance]
    enhanced: bool = False
    publish_seconds: int = PUBLISH_SECONDS
    capture: Capture | None = None
    """Takes what data capture shall have of its invocations."""
    asynchronous: bool = False
    pool: Pool | None = None
    """Of a serverless variant: its instances come and go with the requests."""

    @property
    def active(self) -> int:
        """How many instances are in service: a short silence of one does not change it."""
        return sum(instance.in_service for instance in self.instances)

    def all_among(self, instances: set[str]) -> bool:
        """Whether each instance in service is one of these (and there is one)."""
        active = {instance.instance_id for instance in self.instances if instance.in_service}
        return bool(active) and active <= instances

    def least_busy(self, without: set[str]) -> Instance | None:
        """The instance with the fewest requests in flight among those that are ready, of several the longest idle."""
        ready = [instance for instance in self.instances if instance.ready and instance.instance_id not in without]
        return min(ready, key=lambda instance: (instance.in_flight, instance.entered), default=None)


@dataclass(slots=True)
class InService:
    """An endpoint in service."""

    variants: list[Variant] = field(default_factory=list)
    waiting: dict[asyncio.Future[None], str] = field(default_factory=dict)
    """Who waits for an instance, and of which variant."""
    ended: int = 0
    """Requests that an instance has come to an end with: each made room for another one."""

    def on_their_way(self, variant: Variant) -> dict[str, float]:
        """The requests of each instance in service: those in flight, and its share of those that wait for one."""
        active = [instance for instance in variant.instances if instance.in_service]
        share = Counter(self.waiting.values())[variant.name] / max(1, len(active))
        return {instance.instance_id: instance.in_flight + share for instance in active}

    def make_room(self, variant: Variant) -> None:
        """An instance has come to an end with a request: who has waited longest for this variant may look again."""
        self.ended += 1
        waiting = (one for one, name in self.waiting.items() if name == variant.name and not one.done())
        if woken := next(waiting, None):
            del self.waiting[woken]
            woken.set_result(None)

    def wake(self) -> None:
        """Everybody who waits may look again."""
        waiting, self.waiting = self.waiting, {}
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)


def in_service(
    deployment: Record, instances: list[Instance], captures: Mapping[str, Capture], pools: Mapping[str, Pool]
) -> list[Variant]:
    """The variants of a deployment with those of `instances` that belong to them, their captures and their pools."""
    metrics = deployment.get("MetricsConfig", {})
    return [
        Variant(
            variant["VariantName"],
            variant["Weight"],
            pools[variant["VariantName"]].instances
            if variant["VariantName"] in pools
            else [instance for instance in instances if instance.record["VariantName"] == variant["VariantName"]],
            metrics.get("EnableEnhancedMetrics", False),
            metrics.get("MetricPublishFrequencyInSeconds", PUBLISH_SECONDS),
            captures.get(variant["VariantName"]),
            "AsyncInferenceConfig" in deployment,
            pools.get(variant["VariantName"]),
        )
        for variant in deployment["Variants"]
    ]
