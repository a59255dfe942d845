"""CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.sagemaker import endpoint_async, endpoint_capture, paging
from sagehound.localcloud.services.sagemaker.endpoint_checks import check_serverless, check_serverless_config
from sagehound.localcloud.services.sagemaker.endpoint_status import (
    ENDPOINT_CONFIG,
    MODEL,
    Record,
    arn,
    is_serverless,
    not_found,
    taken,
    unsupported,
)
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags

_NOT_HERE = (
    "ExplainerConfig",
    "ShadowProductionVariants",
    "VpcConfig",
    "EnableNetworkIsolation",
    "CrossRegionTrafficConfig",
)
_VARIANT_NOT_HERE = (
    "InstancePools",
    "AcceleratorType",
    "CoreDumpConfig",
    "EnableSSMAccess",
    "ManagedInstanceScaling",
    "CapacityReservationConfig",
    "AcceleratorPartitionLayouts",
)
_FREQUENCIES = (10, 30, 60, 120, 180, 240, 300)
_SORT = {"Name": "EndpointConfigName", "CreationTime": "CreationTime"}


class EndpointConfigs:
    """A configuration says which models an endpoint serves, on how many instances, with which share of the traffic."""

    def __init__(self, providers: Providers, tags: Tags) -> None:
        self._providers = providers
        self._store = providers.store
        self._tags = tags

    def CreateEndpointConfig(self, call: Call, request: Request) -> Response:
        """Store a configuration whose models exist; what would not really work is refused by name."""
        name = request["EndpointConfigName"]
        config_arn = call.resource = arn(call.region, call.account_id, "endpoint-config", name)
        if self._store.get(ENDPOINT_CONFIG, call.region, name) is not None:
            raise taken(call.region, call.account_id, "endpoint-config", name)
        self._check(call, request)
        self._tags.check(request.get("Tags"))
        record = {
            **{member: value for member, value in request.items() if member != "Tags"},
            "ProductionVariants": [
                {"InitialVariantWeight": 1.0, **variant} for variant in request["ProductionVariants"]
            ],
            "EndpointConfigArn": config_arn,
            "CreationTime": self._providers.clock.now(),
            "EnableNetworkIsolation": False,
        }
        with self._store.transaction():
            self._store.put(ENDPOINT_CONFIG, call.region, name, record)
            self._tags.create(config_arn, request.get("Tags"))
        return {"EndpointConfigArn": config_arn}

    def DescribeEndpointConfig(self, call: Call, request: Request) -> Response:
        """The configuration as it was created."""
        return self._config(call, request)

    def ListEndpointConfigs(self, call: Call, request: Request) -> Response:
        """Summaries by name and time, in pages."""
        found = paging.select(self._store.list(ENDPOINT_CONFIG, call.region), request, "EndpointConfigName")
        found = paging.order(found, request, _SORT, "CreationTime", "Descending")
        return paging.page(found, request, "EndpointConfigs", "EndpointConfigName", _summary)

    def DeleteEndpointConfig(self, call: Call, request: Request) -> Response:
        """Forget the configuration; endpoints that were made with it go on."""
        config = self._config(call, request)
        with self._store.transaction():
            self._store.delete(ENDPOINT_CONFIG, call.region, config["EndpointConfigName"])
            self._tags.delete(config["EndpointConfigArn"])
        return {}

    def _config(self, call: Call, request: Request) -> Record:
        name = request["EndpointConfigName"]
        call.resource = arn(call.region, call.account_id, "endpoint-config", name)
        config = self._store.get(ENDPOINT_CONFIG, call.region, name)
        if config is None:
            raise not_found(call.region, call.account_id, "endpoint-config", name)
        return config

    def _check(self, call: Call, request: Request) -> None:
        for member in _NOT_HERE:
            if request.get(member):
                raise unsupported(member)
        if "DataCaptureConfig" in request:
            endpoint_capture.destination(request["DataCaptureConfig"]["DestinationS3Uri"])
        metrics = request.get("MetricsConfig", {})
        if metrics.get("EnableDetailedObservability"):
            raise unsupported("MetricsConfig with EnableDetailedObservability")
        if metrics.get("MetricPublishFrequencyInSeconds", 60) not in _FREQUENCIES:
            allowed = ", ".join(str(seconds) for seconds in _FREQUENCIES)
            raise validation(f"MetricPublishFrequencyInSeconds must be one of {allowed}.")
        variants = request["ProductionVariants"]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) < len(names):
            raise validation(f"Variant names must be unique within an endpoint configuration, got {', '.join(names)}.")
        for variant in variants:
            self._check_variant(call, variant)
        if "AsyncInferenceConfig" in request:
            endpoint_async.check(request)
        if any(is_serverless(variant) for variant in variants):
            check_serverless_config(request)
        if not any(variant.get("InitialVariantWeight", 1.0) for variant in variants):
            raise validation("At least one production variant must have an InitialVariantWeight above 0.")

    def _check_variant(self, call: Call, variant: Record) -> None:
        for member in _VARIANT_NOT_HERE:
            if variant.get(member):
                raise unsupported(f"{member} of a production variant")
        if variant.get("RoutingConfig", {}).get("RoutingStrategy", "LEAST_OUTSTANDING_REQUESTS") == "RANDOM":
            raise unsupported("RoutingStrategy RANDOM (requests go to the instance with the fewest in flight)")
        if "ModelName" not in variant:
            raise unsupported("production variants without ModelName (inference components)")
        if is_serverless(variant):
            check_serverless(variant)
        else:
            for member in ("InstanceType", "InitialInstanceCount"):
                if member not in variant:
                    raise validation(f"{member} is required for production variant {variant['VariantName']}.")
        if self._store.get(MODEL, call.region, variant["ModelName"]) is None:
            raise not_found(call.region, call.account_id, "model", variant["ModelName"])


def _summary(config: Record) -> Response:
    return {member: config[member] for member in ("EndpointConfigName", "EndpointConfigArn", "CreationTime")}
