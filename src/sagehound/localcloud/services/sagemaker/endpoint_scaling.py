"""Variants of endpoints as Application Auto Scaling sees them: resources with an instance count that can be set."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import NamedTuple

from sagehound.localcloud.errors import validation
from sagehound.localcloud.scaling.resource_ids import VARIANT
from sagehound.localcloud.services.sagemaker.endpoint_status import (
    ENDPOINT,
    Record,
    in_progress,
    is_serverless,
    not_found,
    variant_id,
)
from sagehound.localcloud.services.sagemaker.endpoints import Endpoints
from sagehound.localcloud.services.sagemaker.providers import Providers

Listener = Callable[[str, str, str], None]
_BURSTABLE = re.compile(r"ml\.t\d")


class Capacity(NamedTuple):
    """How many instances are in service, how many were asked for, and whether the endpoint is changing."""

    current: int
    desired: int
    in_progress: bool


class VariantScaling:
    """The scalable dimension sagemaker:variant:DesiredInstanceCount of `endpoint/NAME/variant/VARIANT`."""

    minimum = 1
    """The smallest MinCapacity: only inference components scale to zero."""

    def __init__(self, providers: Providers, endpoints: Endpoints) -> None:
        self._providers = providers
        self._endpoints = endpoints
        self._listeners: list[Listener] = []
        endpoints.on_capacity(self._tell)

    def capacity(self, region: str, resource_id: str, /) -> Capacity:
        """The instances of a variant; ValidationException when there is no such variant."""
        record, variant = self._find(region, resource_id)
        current = self._endpoints.instances_in_service(region, record, variant["VariantName"])
        return Capacity(current, variant["InstanceCount"], record["EndpointStatus"] != "InService")

    def set_desired(self, region: str, resource_id: str, count: int, /) -> None:
        """UpdateEndpointWeightsAndCapacities of one variant, with its answers: refused while the endpoint changes."""
        record, variant = self._find(region, resource_id)
        desired = {"VariantName": variant["VariantName"], "DesiredInstanceCount": count}
        self._endpoints.change_capacities(region, record, [desired])

    def check(self, region: str, resource_id: str, /) -> None:
        """ValidationException for what Application Auto Scaling does not register."""
        record, variant = self._find(region, resource_id)
        if record["EndpointStatus"] in ("Deleting", "Failed"):
            raise in_progress(record)
        if is_serverless(variant):
            raise validation("Variants with ServerlessConfig have no DesiredInstanceCount that could be scaled.")
        if _BURSTABLE.match(variant["InstanceType"]):
            raise validation(
                f"Unsupported instance type: {variant['InstanceType']}. Autoscaling of burstable instance families "
                "such as T2 is not currently supported for SageMaker."
            )

    def add_listener(self, listener: Listener, /) -> None:
        """Tell (region, resource id, failure) when instances of a variant come or go, and when a change has ended."""
        self._listeners.append(listener)

    def _find(self, region: str, resource_id: str) -> tuple[Record, Record]:
        named = VARIANT.fullmatch(resource_id)
        if named is None:
            raise validation("Unsupported service namespace, resource type or scalable dimension")
        name, wanted = named.groups()
        record = self._providers.store.get(ENDPOINT, region, name)
        if record is None:
            raise not_found(region, self._providers.account_id, "endpoint", name)
        for variant in record["Deployment"]["Variants"]:
            if variant["VariantName"] == wanted:
                return record, variant
        raise validation(
            f'The variant name(s) "{wanted}" is/are not present within endpoint configuration '
            f'"{record["EndpointConfigName"]}".'
        )

    def _tell(self, record: Record, failure: str) -> None:
        """Once the work at hand is done, so that a listener may begin the next change."""
        region = record["EndpointArn"].split(":")[3]
        loop = asyncio.get_running_loop()
        for variant in record["Deployment"]["Variants"]:
            for listener in self._listeners:
                loop.call_soon(listener, region, variant_id(record, variant), failure)
