"""What the cloud does meanwhile: instances and activities of an endpoint, provisioned environments of a function"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.plan import EndpointTarget, FunctionTarget, Target
from sagehound.pipeline.load.provisioned_use import ProvisionedUse

_SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")
"""Statuses in which an endpoint answers: while it changes, its instances serve all the same."""


@dataclass
class Seen:
    """What was seen so far; a count stands where it has changed."""

    began: float = field(default_factory=time.time)
    """Real time that the cloud's own moments count from."""
    ticks: float = field(default_factory=time.monotonic)
    """The same moment on the clock that nobody sets, which seconds count from."""
    instances: list[dict[str, Any]] = field(default_factory=list)
    concurrency: list[dict[str, Any]] = field(default_factory=list)
    activities: dict[str, dict[str, Any]] = field(default_factory=dict)
    provisioned: dict[str, int] | None = None
    """Calls that met an environment that was kept ready, and those that did not."""
    remarks: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """The load begins now."""
        self.began, self.ticks = time.time(), time.monotonic()

    @property
    def second(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.ticks

    @property
    def ordered(self) -> list[dict[str, Any]]:
        """The activities, oldest first."""
        return sorted(self.activities.values(), key=lambda one: one["second"])


class Watch(Protocol):
    """Looks at one target."""

    seen: Seen
    pause: float

    def look(self) -> None:
        """Look once; blocks, so it is called in a thread."""

    def finish(self) -> None:
        """Look for the last time."""

    def settled(self) -> bool:
        """Whether the capacity is what it was when the load began, after having been another."""


def watch_of(clients: Clients, target: Target) -> Watch:
    """A watch for this target."""
    if isinstance(target, EndpointTarget):
        return EndpointWatch(clients, target)
    return FunctionWatch(clients, target)


def instance_type_of(clients: Clients, endpoint: str) -> str:
    """The type of an endpoint's instances, from its configuration."""
    described = clients.sagemaker.describe_endpoint(EndpointName=endpoint)
    config = clients.sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    return str(config["ProductionVariants"][0].get("InstanceType", ""))


class EndpointWatch:
    """DescribeEndpoint for the instances, DescribeScalingActivities for what scaling did to them and why."""

    def __init__(self, clients: Clients, target: EndpointTarget) -> None:
        self._clients, self._name = clients, target.name
        self.seen = Seen()
        self.pause = clients.place.look_seconds
        self._activities: _Activities | None = None

    def look(self) -> None:
        """Look once; raises botocore's errors where the endpoint cannot be described."""
        described = self._clients.sagemaker.describe_endpoint(EndpointName=self._name)
        variants = described.get("ProductionVariants", [])
        if self._activities is None:
            self._check(described["EndpointStatus"])
            resources = [f"endpoint/{self._name}/variant/{one['VariantName']}" for one in variants]
            self._activities = _Activities(self._clients, "sagemaker", resources, self.seen)
        counts = {
            "current": sum(one.get("CurrentInstanceCount", 0) for one in variants),
            "desired": sum(one.get("DesiredInstanceCount", 0) for one in variants),
        }
        if len(variants) > 1:
            counts |= {"variants": {one["VariantName"]: one.get("CurrentInstanceCount", 0) for one in variants}}
        _note(self.seen.instances, counts, self.seen.second)
        self._activities.look()

    def finish(self) -> None:
        """The last counts."""
        self.look()

    def settled(self) -> bool:
        """Back at the first count, after another one."""
        first, last = self.seen.instances[0], self.seen.instances[-1]
        return _away_and_back(self.seen.instances, "current") and last["desired"] == first["desired"]

    def _check(self, status: str) -> None:
        if status not in _SERVING:
            raise StepFailed(
                "load", f"endpoint {self._name} is {status}", "Wait until it is InService: `sagehound status` shows it."
            )


class FunctionWatch:
    """GetProvisionedConcurrencyConfig for the environments that are kept ready, and their scaling activities."""

    def __init__(self, clients: Clients, target: FunctionTarget) -> None:
        self._clients, self._target = clients, target
        self.seen = Seen()
        self.pause = clients.place.look_seconds
        self._provisioned = bool(target.qualifier)
        self._use = ProvisionedUse(clients, target)
        resources = [f"function:{target.name}:{target.qualifier}"] if target.qualifier else []
        self._activities = _Activities(clients, "lambda", resources, self.seen)

    def look(self) -> None:
        """Look once; raises botocore's errors where the function is not there."""
        from botocore.exceptions import ClientError

        if not self.seen.concurrency:
            qualifier = {"Qualifier": self._target.qualifier} if self._target.qualifier else {}
            self._clients.lambda_.get_function_configuration(FunctionName=self._target.name, **qualifier)
            self._use.begin()
        counts = {"requested": 0, "allocated": 0, "available": 0}
        if self._provisioned:
            try:
                found = self._clients.lambda_.get_provisioned_concurrency_config(
                    FunctionName=self._target.name, Qualifier=self._target.qualifier
                )
            except ClientError as error:
                if error_of(error)[0] != "ProvisionedConcurrencyConfigNotFoundException":
                    raise
            else:
                counts = {
                    "requested": found.get("RequestedProvisionedConcurrentExecutions", 0),
                    "allocated": found.get("AllocatedProvisionedConcurrentExecutions", 0),
                    "available": found.get("AvailableProvisionedConcurrentExecutions", 0),
                }
        _note(self.seen.concurrency, counts, self.seen.second)
        self._activities.look()

    def finish(self) -> None:
        """The last counts, and what became of the environments that were kept ready."""
        self.look()
        self.seen.provisioned = self._use.end()

    def settled(self) -> bool:
        """Back at the first number of environments, after another one."""
        return _away_and_back(self.seen.concurrency, "available")


class _Activities:
    """The scaling activities since the load began. That they cannot be read fails no load: it is a remark."""

    def __init__(self, clients: Clients, namespace: str, resources: list[str], seen: Seen) -> None:
        self._namespace, self._resources, self._seen = namespace, resources, seen
        self._clock = clients.clock
        self._client: Callable[[], Any] = lambda: clients.client("application-autoscaling")
        self._made: Any = None

    def look(self) -> None:
        """Ask for the last activities of every resource."""
        from botocore.exceptions import BotoCoreError, ClientError

        for resource in self._resources:
            try:
                self._made = self._made or self._client()
                found = self._made.describe_scaling_activities(
                    ServiceNamespace=self._namespace, ResourceId=resource, MaxResults=50
                )["ScalingActivities"]
            except (ClientError, BotoCoreError) as error:
                self._seen.remarks.append(f"scaling activities of {resource} cannot be read: {error}")
                self._resources = []
                return
            for activity in found:
                self._keep(activity)

    def _keep(self, activity: dict[str, Any]) -> None:
        second = self._clock.real_time(activity["StartTime"].timestamp()) - self._seen.began
        if second < 0:
            return
        ended = activity.get("EndTime")
        self._seen.activities[activity["ActivityId"]] = {
            "second": round(second, 2),
            "ended": None if ended is None else round(self._clock.real_time(ended.timestamp()) - self._seen.began, 2),
            "description": activity.get("Description", ""),
            "cause": activity.get("Cause", ""),
            "status": activity["StatusCode"],
            "message": activity.get("StatusMessage", ""),
        }


def _note(counts: list[dict[str, Any]], now: dict[str, Any], second: float) -> None:
    """Keep a count when it differs from the last one."""
    if not counts or {key: counts[-1][key] for key in now} != now:
        counts.append({"second": round(max(second, 0.0), 2), **now})


def _away_and_back(counts: list[dict[str, Any]], key: str) -> bool:
    return len(counts) > 1 and counts[-1][key] == counts[0][key] and any(one[key] != counts[0][key] for one in counts)
