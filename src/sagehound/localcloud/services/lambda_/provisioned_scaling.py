"""Provisioned concurrency as Application Auto Scaling sees it: a capacity that can be asked for and watched."""

from __future__ import annotations

from collections.abc import Callable

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.scaling.resource_ids import FUNCTION
from sagehound.localcloud.services.lambda_.provisioned import Provisioned
from sagehound.localcloud.services.lambda_.provisioned_pools import IN_PROGRESS, ProvisionedPools

Listener = Callable[[str, str, str], None]


class ProvisionedScaling:
    """The scalable dimension lambda:function:ProvisionedConcurrency; resources are `function:NAME:QUALIFIER`."""

    minimum = 0
    """The least MinCapacity: without provisioned concurrency all invocations run on demand."""

    def __init__(self, provisioned: Provisioned, pools: ProvisionedPools) -> None:
        self._provisioned = provisioned
        self._pools = pools

    def capacity(self, region: str, resource_id: str) -> tuple[int, int, bool]:
        """(initialised, asked for, whether environments are being initialised or ended)."""
        name, qualifier = _parse(resource_id)
        desired, current = self._provisioned.capacity(region, name, qualifier)
        pool = self._pools.pool(region, name, qualifier)
        if desired:
            return current, desired, pool is None or pool.status == IN_PROGRESS
        return current, desired, False

    def set_desired(self, region: str, resource_id: str, count: int) -> None:
        """What PutProvisionedConcurrencyConfig does, and Delete for 0."""
        name, qualifier = _parse(resource_id)
        if count:
            self._provisioned.set_capacity(region, name, qualifier, count)
        else:
            self._provisioned.delete(region, name, qualifier)

    def check(self, region: str, resource_id: str) -> None:
        """ValidationException when there is no such version or alias."""
        name, qualifier = _parse(resource_id)
        try:
            self._provisioned.check(region, name, qualifier)
        except AwsError as refusal:
            raise validation(
                f"Unable to assess the status of the resource {resource_id}: {refusal.message}"
            ) from refusal

    def add_listener(self, listener: Listener) -> None:
        """Tell of each pool that has been filled, emptied or given up."""

        def changed(region: str, name: str, qualifier: str, failure: str) -> None:
            listener(region, f"function:{name}:{qualifier}", failure)

        self._pools.listeners.append(changed)


def _parse(resource_id: str) -> tuple[str, str]:
    match = FUNCTION.fullmatch(resource_id)
    if match is None:
        raise validation(f"{resource_id} is no version or alias of a function: function:NAME:QUALIFIER.")
    return match["FunctionName"], match["Qualifier"]
