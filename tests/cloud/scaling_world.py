"""Application Auto Scaling over a store, with alarms and a scalable resource that do as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sagehound.localcloud.call import Call, Caller, HttpRequest
from sagehound.localcloud.errors import validation
from sagehound.localcloud.scaling.alarm import ALARM
from sagehound.localcloud.services.application_autoscaling.needs import Listener
from sagehound.localcloud.services.application_autoscaling.service import ApplicationAutoScaling
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

REGION, ACCOUNT = "us-east-1", "123456789012"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/dogs/variant/AllTraffic",
    "ScalableDimension": DIMENSION,
}


@dataclass
class Fleet:
    """A resource whose changes end when the test says so."""

    minimum: int = 0
    current: int = 1
    desired: int = 1
    refuses: str = ""
    busy: bool = False
    gone: bool = False
    asked: list[int] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)

    def capacity(self, region: str, resource_id: str) -> tuple[int, int, bool]:
        self.check(region, resource_id)
        return self.current, self.desired, self.busy or (self.current != self.desired and not self.refuses)

    def set_desired(self, region: str, resource_id: str, count: int) -> None:
        self.check(region, resource_id)
        if self.busy:
            raise validation("Cannot update in-progress endpoint.")
        self.asked.append(count)
        self.desired = count

    def check(self, region: str, resource_id: str) -> None:
        if self.gone:
            raise validation("Could not find endpoint.")

    def add_listener(self, listener: Listener) -> None:
        self.listeners.append(listener)

    async def get_there(self, current: int, failure: str = "") -> None:
        """So many serve; everybody is told."""
        self.current, self.refuses, self.busy = current, failure, False
        for listener in self.listeners:
            listener(REGION, TARGET["ResourceId"], failure)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@dataclass
class Event:
    """An alarm that calls."""

    name: str
    action_arn: str
    at: datetime
    region: str = REGION
    state: str = ALARM


@dataclass
class Alarms:
    """Alarms whose values the test sets by the name of their metric."""

    clock: Clock
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: dict[str, list[float | None]] = field(default_factory=dict)
    callback: Any = None

    def put(self, region: str, alarm: dict[str, Any]) -> str:
        self.made[alarm["AlarmName"]] = alarm
        return f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{alarm['AlarmName']}"

    def delete(self, region: str, names: list[str]) -> None:
        for name in names:
            self.made.pop(name, None)

    def describe(self, region: str, name: str) -> dict[str, Any] | None:
        return self.made.get(name)

    def with_action(self, region: str, prefix: str) -> list[dict[str, Any]]:
        return [alarm for alarm in self.made.values() if alarm["AlarmActions"][0].startswith(prefix)]

    def values(self, region: str, name: str, count: int, now: float) -> list[float | None] | None:
        alarm = self.made.get(name)
        return None if alarm is None else self.metrics.get(alarm["MetricName"], [])[-count:]

    def add_action(self, prefix: str, callback: Any) -> None:
        self.callback = callback

    def call(self, kind: str, metric: str) -> str:
        """Call the policy of the high or low alarm on a metric; the alarm's name."""
        name = next(name for name, alarm in self.made.items() if kind in name and alarm["MetricName"] == metric)
        self.callback(Event(name, self.made[name]["AlarmActions"][0], self.clock.now()))
        return name


class World:
    """The service over a store, with one fleet."""

    def __init__(self, path: Path, fleet: Fleet | None = None, clock: Clock | None = None) -> None:
        self.store = Store(path)
        self.clock = clock or Clock()
        self.fleet = fleet or Fleet()
        self.alarms = Alarms(self.clock)
        self.service = ApplicationAutoScaling(
            self.store, self.clock, ACCOUNT, scalables={DIMENSION: self.fleet}, alarms=self.alarms
        )

    def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        """One operation."""

        async def nothing() -> AsyncIterator[bytes]:
            yield b""

        http = HttpRequest("POST", "/", "", {}, "http", "127.0.0.1", nothing)
        caller = Caller("arn:aws:iam::123456789012:root", ACCOUNT, ACCOUNT, "AKIA", is_root=True)
        call = Call("application-autoscaling", operation, REGION, ACCOUNT, caller, "id", http)
        answer: Any = self.service.operations[operation](call, request)
        return dict(answer)

    def track(self, metric: str, target: float = 10.0, **members: Any) -> None:
        """A policy on a metric of one's own, named after it."""
        specification = {"Namespace": "Dogs", "MetricName": metric, "Statistic": "Average"}
        self(
            "PutScalingPolicy",
            **TARGET,
            PolicyName=metric.lower(),
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": target,
                "CustomizedMetricSpecification": specification,
                "ScaleInCooldown": 0,
                "ScaleOutCooldown": 0,
                **members,
            },
        )

    def step(self, name: str, metric: str, adjustment: int, threshold: float) -> None:
        """A step scaling policy, and an alarm on a metric of one's own that calls it."""
        answer = self(
            "PutScalingPolicy",
            **TARGET,
            PolicyName=name,
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": adjustment}],
            },
        )
        members = {"MetricName": metric, "EvaluationPeriods": 1, "Threshold": threshold}
        self.alarms.put(REGION, {"AlarmName": f"{name}-alarm", **members, "AlarmActions": [answer["PolicyARN"]]})

    async def stop(self) -> None:
        """As a server that ends."""
        await self.service.stop()
        self.store.close()

    def activities(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """The newest first."""
        found = self("DescribeScalingActivities", ServiceNamespace="sagemaker", IncludeNotScaledActivities=everything)
        return list(found["ScalingActivities"])
