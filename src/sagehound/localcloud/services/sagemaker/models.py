"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import images, model_data, paging
from sagehound.localcloud.services.sagemaker.endpoint_status import MODEL, Record, arn, not_found, taken, unsupported
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import PRINCIPAL
from sagehound.localcloud.services.sagemaker.tags import Tags

_CONTAINER_NOT_HERE = (
    "AdditionalModelDataSources",
    "ModelPackageName",
    "InferenceSpecificationName",
    "MultiModelConfig",
    "ImageConfig",
)
_SORT = {"Name": "ModelName", "CreationTime": "CreationTime"}


class Models:
    """A model is one container: an image, model data in S3, environment variables, and the role it runs as."""

    def __init__(self, providers: Providers, tags: Tags) -> None:
        self._providers = providers
        self._store = providers.store
        self._tags = tags

    def CreateModel(self, call: Call, request: Request) -> Response:
        """Store a model whose image, role and model data were found."""
        name = request["ModelName"]
        model_arn = call.resource = arn(call.region, call.account_id, "model", name)
        if self._store.get(MODEL, call.region, name) is not None:
            raise taken(call.region, call.account_id, "model", name)
        self._check(request, call.region, model_arn)
        self._tags.check(request.get("Tags"))
        record = {
            **{member: value for member, value in request.items() if member != "Tags"},
            "ModelArn": model_arn,
            "CreationTime": self._providers.clock.now(),
            "EnableNetworkIsolation": False,
        }
        with self._store.transaction():
            self._store.put(MODEL, call.region, name, record)
            self._tags.create(model_arn, request.get("Tags"))
        return {"ModelArn": model_arn}

    def DescribeModel(self, call: Call, request: Request) -> Response:
        """The model as it was created."""
        return self._model(call, request)

    def ListModels(self, call: Call, request: Request) -> Response:
        """Summaries by name and time, in pages."""
        found = paging.select(self._store.list(MODEL, call.region), request, "ModelName")
        found = paging.order(found, request, _SORT, "CreationTime", "Descending")
        members = ("ModelName", "ModelArn", "CreationTime")
        return paging.page(
            found, request, "Models", "ModelName", lambda model: {member: model[member] for member in members}
        )

    def DeleteModel(self, call: Call, request: Request) -> Response:
        """Forget the model; endpoints that serve it go on."""
        model = self._model(call, request)
        with self._store.transaction():
            self._store.delete(MODEL, call.region, model["ModelName"])
            self._tags.delete(model["ModelArn"])
        return {}

    def _model(self, call: Call, request: Request) -> Record:
        name = request["ModelName"]
        call.resource = arn(call.region, call.account_id, "model", name)
        model = self._store.get(MODEL, call.region, name)
        if model is None:
            raise not_found(call.region, call.account_id, "model", name)
        return model

    def _check(self, request: Request, region: str, model_arn: str) -> None:
        if ("PrimaryContainer" in request) == bool(request.get("Containers")):
            raise validation("Exactly one of PrimaryContainer and Containers must be given.")
        if len(request.get("Containers", [])) > 1:
            raise unsupported("inference pipelines (more than one entry in Containers)")
        if request.get("EnableNetworkIsolation"):
            raise unsupported("EnableNetworkIsolation")
        container = container_of(request)
        for member in _CONTAINER_NOT_HERE:
            if container.get(member):
                raise unsupported(f"{member} of a container")
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise unsupported("multi-model containers (Mode MultiModel)")
        role = request.get("ExecutionRoleArn")
        if role is None:
            raise validation("ExecutionRoleArn is required for a model that is hosted.")
        image = container.get("Image")
        if image is None:
            raise validation("The container definition must have an Image.")
        images.find(image, "inference", self._providers.settings.images, role)
        self._check_model_data(container, role, region, model_arn)

    def _check_model_data(self, container: Record, role: str, region: str, model_arn: str) -> None:
        url = model_data_url(container)
        try:
            bucket, key = model_data.location(url)
        except ValueError as error:
            raise validation(f"Invalid ModelDataUrl {url!r}: it must be the S3 address of a model.tar.gz.") from error
        objects = self._providers.objects
        found_in = objects.bucket_region(bucket)
        trusted = self._trusted(role, model_arn)
        # S3 says of a bucket that is not there that it is not, whoever asks.
        asked = trusted and found_in == region
        refusal = self._providers.acting_as(role, region).reads(bucket, [key]) if asked else None
        if not trusted or found_in not in (region, None) or refusal is not None:
            raise validation(
                f'Could not access model data at {url}. Please ensure that the role "{role}" exists and that its trust '
                'relationship policy allows the action "sts:AssumeRole" for the service principal '
                f'"{PRINCIPAL}". Also ensure that the role has "s3:GetObject" permissions and that the object is '
                f"located in {region}." + ("" if refusal is None else f" ({refusal.sentence})")
            )
        if found_in is None or objects.list_keys(bucket, key)[:1] != [key]:
            raise validation(f"Could not find model data at {url}.")

    def _trusted(self, role: str, model_arn: str) -> bool:
        try:
            self._providers.roles.role_trust(role, PRINCIPAL, model_arn)
        except AwsError:
            return False
        return True


def container_of(model: dict[str, Any]) -> Record:
    """The one container of a model."""
    primary: Record = model.get("PrimaryContainer") or model["Containers"][0]
    return primary


def model_data_url(container: Record) -> str:
    """Where a container's model.tar.gz lies, said in either of AWS's two ways."""
    if "ModelDataUrl" in container:
        return str(container["ModelDataUrl"])
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        raise unsupported("models without ModelDataUrl")
    if source["S3DataType"] != "S3Object" or source["CompressionType"] != "Gzip":
        raise unsupported("uncompressed model data (ModelDataSource other than one Gzip S3Object)")
    return str(source["S3Uri"])
