"""Deploy: a model, an endpoint configuration and an endpoint that is InService, each made unless it is there.

Models and configurations are named by what they hold, so a new model gives a new configuration and the same
endpoint moves to it by UpdateEndpoint, blue-green: the old one answers until the new one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, is_missing
from sagehound.pipeline.aws_images import image_uri
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import LogTail, endpoint_group
from sagehound.pipeline.names import Names, digest_of
from sagehound.pipeline.progress import Step
from sagehound.pipeline.security import ensure_role
from sagehound.pipeline.training_request import has_storage, vpc_members
from sagehound.pipeline.waiting import interrupted, poll
from sagehound.settings import DeploySettings, TrainSettings

ALLOWED_HOSTS_VARIABLE = "SAGEHOUND_ALLOWED_URL_HOSTS"
_MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class Servable(Protocol):
    """A model that a training job or an instance has trained."""

    @property
    def job_name(self) -> str:
        """What trained it."""

    @property
    def artifact_uri(self) -> str:
        """Where its model.tar.gz lies."""


@dataclass(frozen=True)
class Placement:
    """A model and the endpoint that it shall answer at."""

    endpoint_name: str
    model: Servable


@dataclass(frozen=True)
class Endpoint:
    """An endpoint in service."""

    name: str
    model_name: str
    job_name: str
    config_name: str
    how: str
    """created, updated or was there."""


def deploy(
    clients: Clients,
    names: Names,
    settings: DeploySettings,
    train: TrainSettings,
    placements: Sequence[Placement],
    step: Step,
) -> list[Endpoint]:
    """The endpoints that answer with these models; all are begun before any is waited for.

    Raises StepFailed with an endpoint's FailureReason where it does not come into service.
    """
    with aws_step("deploy"):
        role_arn = ensure_role(clients, names, "deploy")
        endpoints = [_begin(clients, names, settings, train, placement, role_arn) for placement in placements]
        for endpoint in endpoints:
            _wait_in_service(clients, endpoint.name, endpoint.config_name)
    hosts = allowed_url_hosts(clients, settings)
    if hosts:
        own = f" ({clients.place.name}'s own: what is public there and what is signed can be had)"
        own = own if clients.own_host else ""
        step.lines = [f"pictures may be fetched from {hosts} too, although that is no public address{own}"]
    hows = ", ".join(dict.fromkeys(endpoint.how for endpoint in endpoints))
    each = " each" if len(endpoints) > 1 else ""
    step.done(
        f"{', '.join(endpoint.name for endpoint in endpoints)}  InService, "
        f"{settings.instance_count} x {settings.instance_type}{each} ({hows}), "
        f"the model of {', '.join(endpoint.job_name for endpoint in endpoints)}",
        endpoints=[
            {
                "endpoint_name": endpoint.name,
                "endpoint_config_name": endpoint.config_name,
                "model_name": endpoint.model_name,
                "job_name": endpoint.job_name,
                "how": endpoint.how,
            }
            for endpoint in endpoints
        ],
        allowed_url_hosts=hosts,
    )
    return endpoints


def allowed_url_hosts(clients: Clients, settings: DeploySettings) -> str:
    """The hosts that an endpoint may fetch pictures from although their addresses are not public.

    The local cloud's S3 has a loopback address, so the project's own pictures would be refused there: it is added.
    What lies behind it is as closed as before, since every request to it must be signed.
    """
    hosts = [host.strip() for host in settings.allowed_url_hosts.split(",") if host.strip()]
    if clients.own_host:
        hosts.append(clients.own_host)
    return ",".join(dict.fromkeys(hosts))


def _begin(
    clients: Clients,
    names: Names,
    settings: DeploySettings,
    train: TrainSettings,
    placement: Placement,
    role_arn: str,
) -> Endpoint:
    """Ask for one endpoint with its model; it is not in service yet when this returns."""
    name, model = placement.endpoint_name, placement.model
    model_name = _ensure_model(clients, names, settings, train, model, role_arn)
    config_name = _ensure_config(clients, names, settings, model_name)
    before = settled_endpoint(clients, name)
    if before is not None and before["EndpointStatus"] == "Failed":
        clients.sagemaker.delete_endpoint(EndpointName=name)
        before = settled_endpoint(clients, name)
    how = "was there"
    if before is None:
        clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config_name, Tags=names.tags)
        how = "created"
    elif before["EndpointConfigName"] != config_name:
        retained = _has_scaled(clients, settings, before)
        clients.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=config_name, RetainAllVariantProperties=retained
        )
        how = "updated"
    return Endpoint(name, model_name, model.job_name, config_name, how)


def _has_scaled(clients: Clients, settings: DeploySettings, before: dict[str, Any]) -> bool:
    """Whether the instances are more or fewer than once configured, though nobody configures another number now.

    An update would bring them back to that number at once, whatever load they are there for.
    """
    config = clients.sagemaker.describe_endpoint_config(EndpointConfigName=before["EndpointConfigName"])
    begun = {one["VariantName"]: one.get("InitialInstanceCount") for one in config["ProductionVariants"]}
    now = {one["VariantName"]: one.get("DesiredInstanceCount") for one in before.get("ProductionVariants", [])}
    variant = settings.variant_name
    return begun.get(variant) == settings.instance_count and now.get(variant, settings.instance_count) != begun[variant]


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


def _ensure_model(
    clients: Clients, names: Names, settings: DeploySettings, train: TrainSettings, model: Servable, role_arn: str
) -> str:
    from botocore.exceptions import ClientError

    environment = {
        # The artefact brings its handler along, as code/inference.py.
        "SAGEMAKER_PROGRAM": settings.program,
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        "SAGEMAKER_REGION": clients.region,
    }
    hosts = allowed_url_hosts(clients, settings)
    if hosts:
        environment[ALLOWED_HOSTS_VARIABLE] = hosts
    container = {
        "Image": image_uri("inference", settings.instance_type, clients.region, train, names.aws),
        "ModelDataUrl": model.artifact_uri,
        "Environment": environment,
    }
    network = vpc_members(names.aws)
    name = names.model(digest_of({"container": container, "role": role_arn, **network}))
    try:
        clients.sagemaker.describe_model(ModelName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        clients.sagemaker.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role_arn, Tags=names.tags, **network
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
    key = "" if has_storage(settings.instance_type) else names.aws.volume_kms_key
    volume = {"KmsKeyId": key} if key else {}
    name = names.endpoint_config(digest_of(variant | volume))
    try:
        clients.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        clients.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], Tags=names.tags, **volume
        )
    return name


def settled_endpoint(clients: Clients, name: str) -> dict[str, Any] | None:
    """The endpoint once nothing moves it, or None where there is none (any more)."""
    try:
        return poll(
            lambda: describe_endpoint(clients, name),
            lambda found: found is None or found["EndpointStatus"] not in _MOVING,
            clients.place.pauses(),
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
