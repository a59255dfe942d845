"""The metrics of functions in AWS/Lambda, with AWS's dimensions.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sagehound.localcloud.functions.spec import Outcome
from sagehound.localcloud.services.lambda_ import names
from sagehound.localcloud.services.lambda_.concurrency import Slot
from sagehound.localcloud.services.lambda_.invocation_needs import MetricCounter, Target
from sagehound.localcloud.state.clock import Clock

NAMESPACE = "AWS/Lambda"
_COUNT, _MILLISECONDS, _NONE = "Count", "Milliseconds", "None"
Value = tuple[str, float, str]


class FunctionMetrics:
    """Counts after the answer is on its way: nobody waits for a metric."""

    def __init__(self, counter: MetricCounter, clock: Clock) -> None:
        self._counter = counter
        self._clock = clock

    def invoked(self, region: str, target: Target, slot: Slot, outcome: Outcome) -> None:
        """An invocation that ran, whether or not its handler failed."""
        asyncio.get_running_loop().call_soon(self._invoked, region, target, slot, outcome)

    def _invoked(self, region: str, target: Target, slot: Slot, outcome: Outcome) -> None:
        values: list[Value] = [
            ("Invocations", 1.0, _COUNT),
            ("Errors", float(outcome.error is not None), _COUNT),
            ("Throttles", 0.0, _COUNT),
            ("Duration", outcome.seconds * 1000, _MILLISECONDS),
        ]
        if slot.pool_size:
            if slot.provisioned:
                values.append(("ProvisionedConcurrencyInvocations", 1.0, _COUNT))
                values.append(("ProvisionedConcurrencySpilloverInvocations", 0.0, _COUNT))
            else:
                values.append(("ProvisionedConcurrencySpilloverInvocations", 1.0, _COUNT))
        self._put(region, target, slot.version, values)
        self._concurrency(region, target, slot)

    def _concurrency(self, region: str, target: Target, slot: Slot) -> None:
        """What ran at once when this invocation began; its statistic is the maximum."""
        now = self._clock.now()
        put = self._counter.put
        dimensions = {"FunctionName": target.name}
        put(region, NAMESPACE, "ConcurrentExecutions", float(slot.function_running), dimensions, now, _COUNT)
        put(region, NAMESPACE, "ConcurrentExecutions", float(slot.region_running), {}, now, _COUNT)
        put(region, NAMESPACE, "UnreservedConcurrentExecutions", float(slot.region_unreserved), {}, now, _COUNT)
        if slot.pool_size:
            values: list[Value] = [
                ("ConcurrentExecutions", float(slot.function_running), _COUNT),
                ("ProvisionedConcurrentExecutions", float(slot.pool_running), _COUNT),
                ("ProvisionedConcurrencyUtilization", slot.pool_running / slot.pool_size, _NONE),
            ]
            for name, value, unit in values:
                put(region, NAMESPACE, name, value, {**dimensions, "Resource": _resource(target)}, now, unit)

    def throttled(self, region: str, target: Target, version: str) -> None:
        """An invocation that found no place."""
        self._put(region, target, version, [("Throttles", 1.0, _COUNT)])

    def utilization(self, region: str, name: str, qualifier: str, running: int, size: int) -> None:
        """How much of a version's or alias's provisioned concurrency is in use, which scaling looks at when nobody
        calls, too."""
        now = self._clock.now()
        dimensions = {"FunctionName": name, "Resource": f"{name}:{qualifier}"}
        share = running / size if size else 0.0
        put = self._counter.put
        put(region, NAMESPACE, "ProvisionedConcurrencyUtilization", share, dimensions, now, _NONE)
        put(region, NAMESPACE, "ProvisionedConcurrentExecutions", float(running), dimensions, now, _COUNT)

    def event(self, region: str, target: Target, name: str, value: float = 1.0) -> None:
        """AsyncEventsReceived, AsyncEventAge (milliseconds), AsyncEventsDropped, DestinationDeliveryFailures."""
        self._put(region, target, None, [(name, value, _MILLISECONDS if name == "AsyncEventAge" else _COUNT)])

    def _put(self, region: str, target: Target, version: str | None, values: Iterable[Value]) -> None:
        now = self._clock.now()
        dimensions = _dimensions(target, version)
        for name, value, unit in values:
            for each in dimensions:
                self._counter.put(region, NAMESPACE, name, value, each, now, unit)


def _dimensions(target: Target, version: str | None) -> list[dict[str, str]]:
    """All functions, the function, the resource that was invoked, and the version that an alias chose."""
    function = {"FunctionName": target.name}
    resource = {**function, "Resource": _resource(target)}
    found: list[dict[str, str]] = [{}, function, resource]
    if version is not None and not names.is_version(target.qualifier):
        found.append({**resource, "ExecutedVersion": version})
    return found


def _resource(target: Target) -> str:
    """FUNCTION, FUNCTION:VERSION or FUNCTION:ALIAS, as the caller named it."""
    return target.arn.split(":function:", 1)[1]
