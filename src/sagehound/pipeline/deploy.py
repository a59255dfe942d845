"""Deploy: a model, an endpoint configuration and an endpoint that is InService, each made unless it is there.

Models and configurations are named by what they hold, so a new model gives a new configuration and the same
endpoint moves to it by UpdateEndpoint, blue-green: the old one answers until the new one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import LogTail, endpoint_group
from sagehound.pipeline.names import Names, digest_of
from sagehound.pipeline.progress import Step
from sagehound.pipeline.security import ensure_role
from sagehound.pipeline.train import TrainedModel
from sagehound.pipeline.training_request import image_uri
from sagehound.pipeline.waiting import interrupted, poll
from sagehound.settings import DeploySettings, TrainSettings

_MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


@dataclass(frozen=True)
class Endpoint:
    """An endpoint in service."""

    name: str
    model_name: str
    job_name: str


def deploy(
    clients: Clients, names: Names, settings: DeploySettings, train: TrainSettings, model: TrainedModel, step: Step
) -> Endpoint:
    """The endpoint that answers with this model; raises StepFailed with its FailureReason where it cannot."""
    with aws_step("deploy"):
        role_arn = ensure_role(clients, names, "deploy")
        model_name = _ensure_model(clients, names, settings, train, model, role_arn)
        config_name = _ensure_config(clients, names, settings, model_name)
        before = settled_endpoint(clients, names.endpoint)
        if before is not None and before["EndpointStatus"] == "Failed":
            clients.sagemaker.delete_endpoint(EndpointName=names.endpoint)
            before = settled_endpoint(clients, names.endpoint)
        if before is None:
            clients.sagemaker.create_endpoint(
                EndpointName=names.endpoint, EndpointConfigName=config_name, Tags=names.tags
            )
            how = "created"
        elif before["EndpointConfigName"] != config_name:
            clients.sagemaker.update_endpoint(EndpointName=names.endpoint, EndpointConfigName=config_name)
            how = "updated"
        else:
            how = "was there"
        _wait_in_service(clients, names.endpoint, config_name)
    endpoint = Endpoint(names.endpoint, model_name, model.job_name)
    step.done(
        f"{endpoint.name}  InService, {settings.instance_count} x {settings.instance_type} ({how})",
        endpoint_name=endpoint.name,
        endpoint_config_name=config_name,
        model_name=model_name,
        job_name=model.job_name,
        how=how,
    )
    return endpoint


def describe_endpoint(clients: Clients, name: str) -> dict[str, Any] | None:
    """DescribeEndpoint, or None where there is no such endpoint."""
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = clients.sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return found


def is_missing(error: Any) -> bool:
    """SageMaker says ValidationException "Could not find ..." where other services have a code of their own."""
    code, message = error_of(error)
    return code == "ResourceNotFound" or (code == "ValidationException" and "could not find" in message.lower())


def _ensure_model(
    clients: Clients, names: Names, settings: DeploySettings, train: TrainSettings, model: TrainedModel, role_arn: str
) -> str:
    from botocore.exceptions import ClientError

    container = {
        "Image": image_uri("inference", settings.instance_type, clients.region, train),
        "ModelDataUrl": model.artifact_uri,
        "Environment": {
            # The artefact brings its handler along, as code/inference.py.
            "SAGEMAKER_PROGRAM": settings.program,
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
            "SAGEMAKER_REGION": clients.region,
        },
    }
    name = names.model(digest_of({"container": container, "role": role_arn}))
    try:
        clients.sagemaker.describe_model(ModelName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        clients.sagemaker.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role_arn, Tags=names.tags
        )
    return name


def _ensure_config(clients: Clients, names: Names, settings: DeploySettings, model_name: str) -> str:
    from botocore.exceptions import ClientError

    variant = {
        "VariantName": settings.variant_name,
        "ModelName": model_name,
        "InitialInstanceCount": settings.instance_count,
        "InstanceType": settings.instance_type,
        "InitialVariantWeight": 1.0,
    }
    name = names.endpoint_config(digest_of(variant))
    try:
        clients.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        clients.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=names.tags)
    return name


def settled_endpoint(clients: Clients, name: str) -> dict[str, Any] | None:
    """The endpoint once nothing moves it, or None where there is none (any more)."""
    try:
        return poll(
            lambda: describe_endpoint(clients, name),
            lambda found: found is None or found["EndpointStatus"] not in _MOVING,
            local=clients.local,
        )
    except KeyboardInterrupt:
        raise _interrupted(name) from None


def _wait_in_service(clients: Clients, name: str, config_name: str) -> None:
    found = settled_endpoint(clients, name)
    if found is None:
        raise StepFailed("deploy", f"endpoint {name} was deleted meanwhile", "Run `sagehound deploy` again.")
    # After an update that did not work out the old configuration is InService again.
    if found["EndpointStatus"] == "InService" and found["EndpointConfigName"] == config_name:
        return
    reason = found.get("FailureReason") or f"it is {found['EndpointStatus']} with {found['EndpointConfigName']}"
    last = "\n".join(LogTail(clients, endpoint_group(name)).last_lines(20))
    raise StepFailed(
        "deploy",
        f"endpoint {name} did not come into service: {reason}" + (f"\n{last}" if last and last not in reason else ""),
        f"`sagehound logs {name}` has all of it; after the repair, `sagehound deploy` tries again.",
    )


def _interrupted(name: str) -> StepFailed:
    return interrupted(
        "deploy",
        f"endpoint {name} is still being made",
        "`sagehound deploy` waits for it again, `sagehound delete` removes it.",
    )
