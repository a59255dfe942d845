"""CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint and its WeightsAndCapacities, DeleteEndpoint."""

from __future__ import annotations

import asyncio
import copy
import uuid
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.sagemaker import endpoint_capture, paging
from sagehound.localcloud.services.sagemaker.endpoint_async_queue import AsyncQueues
from sagehound.localcloud.services.sagemaker.endpoint_captures import Captures
from sagehound.localcloud.services.sagemaker.endpoint_checks import (
    check_deployment_config,
    check_quotas,
    check_targets,
    retain,
    scaled,
)
from sagehound.localcloud.services.sagemaker.endpoint_metrics import EndpointMetrics
from sagehound.localcloud.services.sagemaker.endpoint_router import Router
from sagehound.localcloud.services.sagemaker.endpoint_run import CapacityChanged, EndpointRun
from sagehound.localcloud.services.sagemaker.endpoint_sampling import EndpointSampling
from sagehound.localcloud.services.sagemaker.endpoint_status import (
    ANSWERING,
    ENDPOINT,
    ENDPOINT_CONFIG,
    ENDPOINT_STATUS,
    MODEL,
    Record,
    arn,
    in_progress,
    not_found,
    taken,
    variant_summary,
)
from sagehound.localcloud.services.sagemaker.model_data import ModelData
from sagehound.localcloud.services.sagemaker.models import container_of, model_data_url
from sagehound.localcloud.services.sagemaker.needs import IsTarget, MetricCounter
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags

_SORT = {"Name": "EndpointName", "CreationTime": "CreationTime", "Status": "EndpointStatus"}
_SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
_DESCRIBED = (*_SUMMARY, "EndpointConfigName", "FailureReason", "LastDeploymentConfig")
_OF_CONFIG = ("MetricsConfig", "DataCaptureConfig", "AsyncInferenceConfig")
_SIZES = {
    "InstanceType": "InstanceType",
    "ServerlessConfig": "ServerlessConfig",
    "ContainerStartupHealthCheckTimeoutInSeconds": "StartupLimit",
    "ModelDataDownloadTimeoutInSeconds": "DownloadLimit",
}
_WITHOUT_EFFECT = ("VolumeSizeInGB", "InferenceAmiVersion", "VariantInstanceProvisionTimeoutInSeconds")


class Endpoints:
    """The endpoints of all regions; `router` sends invocations to those in service."""

    def __init__(self, providers: Providers, tags: Tags, counter: MetricCounter, is_target: IsTarget) -> None:
        self._providers = providers
        self._store = providers.store
        self._tags = tags
        self._is_target = is_target
        self._model_data = ModelData(providers.data_dir / "sagemaker" / "models", providers.objects)
        metrics = EndpointMetrics(providers.clock, counter)
        self.router = Router(metrics, providers.account_id)
        self._sampling = EndpointSampling(providers.clock, self.router, metrics)
        self._captures = Captures(providers)
        self.router.queues = AsyncQueues(providers, self.router, counter)
        self._runs: dict[tuple[str, str], EndpointRun] = {}
        self._capacity_listeners: list[CapacityChanged] = []

    async def start(self) -> None:
        """Bring every endpoint back: model servers that live are adopted, dead ones are started again."""
        records = self._store.list(ENDPOINT)
        in_use = {
            variant["ModelDataDigest"]
            for record in records
            for member in ("Deployment", "PendingDeployment", "PreviousDeployment")
            for variant in record.get(member, {}).get("Variants", [])
            if "ModelDataDigest" in variant
        }
        await asyncio.to_thread(self._model_data.prune, in_use)
        await self._captures.start()
        self.router.queues.start()
        for record in records:
            run = self._run(record["EndpointArn"].split(":")[3], record["EndpointName"])
            if record["EndpointStatus"] in ANSWERING:
                run.answer_again()
            run.begin(run.recover)
        self._sampling.start()

    async def stop(self) -> None:
        """End the model servers, which the next start brings back. (Those of a killed server go on and are adopted.)"""
        await self._sampling.stop()
        await self.router.queues.stop()
        await asyncio.gather(*(run.stop() for run in self._runs.values()))
        await self._captures.stop()

    def on_capacity(self, listener: CapacityChanged) -> None:
        """Tell of every endpoint's record when its instances in service, or the work on it, have changed."""
        self._capacity_listeners.append(listener)

    def instances_in_service(self, region: str, record: Record, variant: str) -> int:
        """How many instances of a variant serve."""
        return self._run(region, record["EndpointName"]).in_service(record["Deployment"]["Generation"], variant)

    def change_capacities(self, region: str, record: Record, desired: list[dict[str, Any]]) -> None:
        """Begin to change weights and instance counts; ValidationException while the endpoint changes already."""
        _check_idle(record)
        before = record["Deployment"]
        after = scaled(before, desired, record["EndpointConfigName"])
        check_quotas(after, region, self._providers, replaces=before)
        self._begin(region, record, "scale", Deployment=after, PreviousDeployment=before)

    def CreateEndpoint(self, call: Call, request: Request) -> Response:
        """Store the endpoint as Creating and begin to start its instances."""
        name, region = request["EndpointName"], call.region
        endpoint_arn = call.resource = arn(region, call.account_id, "endpoint", name)
        if self._store.get(ENDPOINT, region, name) is not None:
            raise taken(region, call.account_id, "endpoint", name)
        check_deployment_config(request.get("DeploymentConfig"))
        self._tags.check(request.get("Tags"))
        deployment = self._deployment(call, request["EndpointConfigName"])
        check_quotas(deployment, region, self._providers)
        now = self._providers.clock.now()
        record = {
            "EndpointName": name,
            "EndpointArn": endpoint_arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "Deployment": deployment,
        }
        if "DeploymentConfig" in request:
            record["LastDeploymentConfig"] = request["DeploymentConfig"]
        with self._store.transaction():
            self._store.put(ENDPOINT, region, name, record)
            self._tags.create(endpoint_arn, request.get("Tags"))
        run = self._run(region, name)
        run.begin(run.create)
        return {"EndpointArn": endpoint_arn}

    def DescribeEndpoint(self, call: Call, request: Request) -> Response:
        """The endpoint, its variants with their weights and counts, and what a running update is heading for."""
        record = self._endpoint(call, request["EndpointName"])
        described = {member: record[member] for member in _DESCRIBED if member in record}
        status = record["EndpointStatus"]
        if status == "Creating":
            described["PendingDeploymentSummary"] = self._pending(call.region, record, record["Deployment"])
        elif status != "Failed":
            described["ProductionVariants"] = self._summaries(call.region, record, record["Deployment"])
        if "AsyncInferenceConfig" in record["Deployment"]:
            described["AsyncInferenceConfig"] = record["Deployment"]["AsyncInferenceConfig"]
        if "DataCaptureConfig" in record["Deployment"]:
            capture = record["Deployment"]["DataCaptureConfig"]
            described["DataCaptureConfig"] = endpoint_capture.summary(capture, answers=status in ANSWERING)
        if "PendingDeployment" in record:
            described["PendingDeploymentSummary"] = self._pending(call.region, record, record["PendingDeployment"])
        return described

    def ListEndpoints(self, call: Call, request: Request) -> Response:
        """Summaries by name, status and times, in pages."""
        found = paging.select(self._store.list(ENDPOINT, call.region), request, "EndpointName", "EndpointStatus")
        found = paging.order(found, request, _SORT, "CreationTime", "Descending")
        return paging.page(
            found, request, "Endpoints", "EndpointName", lambda one: {member: one[member] for member in _SUMMARY}
        )

    def UpdateEndpoint(self, call: Call, request: Request) -> Response:
        """Begin a blue-green update to another configuration; the endpoint answers all the while."""
        record = self._endpoint(call, request["EndpointName"])
        _check_idle(record)
        config = request.get("DeploymentConfig")
        check_deployment_config(config)
        if config is None and request.get("RetainDeploymentConfig"):
            config = record.get("LastDeploymentConfig")
        deployment = self._deployment(call, request["EndpointConfigName"])
        if request.get("RetainAllVariantProperties"):
            excluded = {one["VariantPropertyType"] for one in request.get("ExcludeRetainedVariantProperties", [])}
            retain(deployment, record["Deployment"], excluded)
        check_targets(deployment, record, call.region, self._is_target)
        check_quotas(deployment, call.region, self._providers)
        record.pop("LastDeploymentConfig", None)
        if config is not None:
            record["LastDeploymentConfig"] = config
        self._begin(call.region, record, "update", PendingDeployment=deployment)
        return {"EndpointArn": record["EndpointArn"]}

    def UpdateEndpointWeightsAndCapacities(self, call: Call, request: Request) -> Response:
        """Begin to change weights and instance counts of variants; the endpoint answers all the while."""
        record = self._endpoint(call, request["EndpointName"])
        self.change_capacities(call.region, record, request["DesiredWeightsAndCapacities"])
        return {"EndpointArn": record["EndpointArn"]}

    def DeleteEndpoint(self, call: Call, request: Request) -> Response:
        """Begin to drain and end the endpoint's instances; the record goes with the last of them."""
        record = self._endpoint(call, request["EndpointName"])
        if not ENDPOINT_STATUS.may(record["EndpointStatus"], "Deleting"):
            raise in_progress(record)
        self._begin(call.region, record, "delete")
        return {}

    def _begin(self, region: str, record: Record, work: str, **members: Any) -> None:
        status = "Deleting" if work == "delete" else "Updating"
        name, now = record["EndpointName"], self._providers.clock.now()
        record.pop("FailureReason", None)
        self._store.put(
            ENDPOINT, region, name, ENDPOINT_STATUS.advance(record, status, LastModifiedTime=now, **members)
        )
        run = self._run(region, name)
        run.begin(getattr(run, work))

    def _run(self, region: str, name: str) -> EndpointRun:
        run = self._runs.get((region, name))
        if run is None:
            run = EndpointRun(
                region, name, self._providers, self._model_data, self.router, self._captures, self._tags, self._tell
            )
            self._runs[region, name] = run
        return run

    def _tell(self, record: Record, failure: str) -> None:
        for listener in self._capacity_listeners:
            listener(record, failure)

    def _endpoint(self, call: Call, name: str) -> Record:
        call.resource = arn(call.region, call.account_id, "endpoint", name)
        record = self._store.get(ENDPOINT, call.region, name)
        if record is None:
            raise not_found(call.region, call.account_id, "endpoint", name)
        return record

    def _deployment(self, call: Call, config_name: str) -> Record:
        """What a configuration means now: its models are looked up once, so that deleting them changes nothing."""
        config = self._store.get(ENDPOINT_CONFIG, call.region, config_name)
        if config is None:
            raise not_found(call.region, call.account_id, "endpoint-config", config_name)
        variants = [self._variant(call, variant) for variant in config["ProductionVariants"]]
        deployment: Record = {
            "Generation": uuid.uuid4().hex,
            "EndpointConfigName": config_name,
            "StartTime": self._providers.clock.now(),
            "Variants": variants,
        }
        deployment.update({member: config[member] for member in _OF_CONFIG if member in config})
        return deployment

    def _variant(self, call: Call, variant: Record) -> Record:
        model = self._store.get(MODEL, call.region, variant["ModelName"])
        if model is None:
            raise not_found(call.region, call.account_id, "model", variant["ModelName"])
        container = container_of(model)
        found: Record = {
            "VariantName": variant["VariantName"],
            "Weight": variant["InitialVariantWeight"],
            # The first container of a serverless variant shows whether there can be others.
            "InstanceCount": variant.get("InitialInstanceCount", 1),
            "Image": container["Image"],
            "Environment": copy.deepcopy(container.get("Environment", {})),
            "ModelDataUrl": model_data_url(container),
            "ExecutionRoleArn": model["ExecutionRoleArn"],
            "InVpc": "VpcConfig" in model,
            "ResolutionTime": self._providers.clock.now(),
        }
        for member, ours in _SIZES.items():
            if member in variant:
                found[ours] = variant[member]
        found["WithoutEffect"] = [member for member in _WITHOUT_EFFECT if member in variant]
        return found

    def _summaries(self, region: str, record: Record, deployment: Record) -> list[Record]:
        run = self._run(region, record["EndpointName"])
        return [
            variant_summary(variant, run.in_service(deployment["Generation"], variant["VariantName"]))
            for variant in deployment["Variants"]
        ]

    def _pending(self, region: str, record: Record, deployment: Record) -> Record:
        summaries = self._summaries(region, record, deployment)
        status = [{"Status": "Creating", "StartTime": deployment["StartTime"]}]
        for summary, variant in zip(summaries, deployment["Variants"], strict=True):
            summary.update(VariantStatus=status)
            if "InstanceType" in variant:
                summary["InstanceType"] = variant["InstanceType"]
        return {
            "EndpointConfigName": deployment["EndpointConfigName"],
            "StartTime": deployment["StartTime"],
            "ProductionVariants": summaries,
        }


def _check_idle(record: Record) -> None:
    if not ENDPOINT_STATUS.may(record["EndpointStatus"], "Updating"):
        raise in_progress(record)
