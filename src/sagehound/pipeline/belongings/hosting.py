"""Endpoints, their configurations and models: found, and removed"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.places import of_role, of_uri
from sagehound.pipeline.belongings.thing import Billed, Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import describe_endpoint
from sagehound.pipeline.log_tail import endpoint_group
from sagehound.pipeline.names import PROJECT_TAG, RUN_TAG
from sagehound.pipeline.pricing.prices import Use
from sagehound.pipeline.waiting import poll

_MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def find_endpoints(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """An endpoint may have any name (deploy.endpoint_name, --endpoint): only its tag tells whose it is."""
    for name, owner in _tagged(clients, scope, "list_endpoints", "Endpoints", "Endpoint", prefix=""):
        found = describe_endpoint(clients, name)
        if found is None:
            continue
        variants = found.get("ProductionVariants", [])
        config = found["EndpointConfigName"]
        billed = None
        kept = unless_gone(partial(clients.sagemaker.describe_endpoint_config, EndpointConfigName=config))
        types = [one["InstanceType"] for one in (kept or {}).get("ProductionVariants", []) if "InstanceType" in one]
        count = sum(int(one.get("CurrentInstanceCount", 0)) for one in variants)
        detail = found["EndpointStatus"]
        if types:
            billed = Billed(Use.HOSTING, types[0], count) if count else None
            detail += f", {count} x {types[0]}" if count else f", {types[0]}"
        yield Thing(
            Kind.ENDPOINT,
            name,
            *owner,
            detail=detail,
            needs=frozenset({(Kind.ENDPOINT_CONFIG, config)}),
            billed=billed,
        )


def find_endpoint_configs(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """Configurations are named after the project."""
    for name, owner in _tagged(clients, scope, "list_endpoint_configs", "EndpointConfigs", "EndpointConfig"):
        found = unless_gone(partial(clients.sagemaker.describe_endpoint_config, EndpointConfigName=name))
        if found is not None:
            models = frozenset((Kind.MODEL, one["ModelName"]) for one in found["ProductionVariants"])
            yield Thing(Kind.ENDPOINT_CONFIG, name, *owner, needs=models)


def find_models(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """Models are named after the project; each needs the artefact that it serves."""
    for name, owner in _tagged(clients, scope, "list_models", "Models", "Model"):
        found = unless_gone(partial(clients.sagemaker.describe_model, ModelName=name))
        if found is not None:
            artefact = found.get("PrimaryContainer", {}).get("ModelDataUrl", "")
            needs = of_role(found.get("ExecutionRoleArn", "")) | of_uri(artefact)
            yield Thing(Kind.MODEL, name, *owner, needs=frozenset(needs))


def delete_endpoint(clients: Clients, thing: Thing) -> None:
    """Ask for it; one that is still being made or moved cannot be deleted, so that is waited for."""
    _tag_log_group(clients, thing)
    found = poll(
        partial(describe_endpoint, clients, thing.name),
        lambda found: found is None or found["EndpointStatus"] not in _MOVING,
        clients.place.pauses(),
    )
    if found is not None:
        unless_gone(partial(clients.sagemaker.delete_endpoint, EndpointName=thing.name))


def wait_until_deleted(clients: Clients, thing: Thing) -> None:
    """Until the endpoint is gone, and then its log; raises StepFailed where its deletion fails."""
    last = poll(
        partial(describe_endpoint, clients, thing.name),
        lambda found: found is None or found["EndpointStatus"] == "Failed",
        clients.place.pauses(),
    )
    if last is not None:
        raise StepFailed("delete", f"its deletion failed: {last.get('FailureReason')}", "Run `sagehound delete` again.")
    unless_gone(partial(clients.logs.delete_log_group, logGroupName=endpoint_group(thing.name)))


def delete_endpoint_config(clients: Clients, thing: Thing) -> None:
    """Gone at once."""
    unless_gone(partial(clients.sagemaker.delete_endpoint_config, EndpointConfigName=thing.name))


def delete_model(clients: Clients, thing: Thing) -> None:
    """Gone at once."""
    unless_gone(partial(clients.sagemaker.delete_model, ModelName=thing.name))


def _tag_log_group(clients: Clients, thing: Thing) -> None:
    """SageMaker made the group, without tags: with them it is found again where the endpoint is gone before it."""
    arn = f"arn:{clients.partition}:logs:{clients.region}:{clients.account_id}:log-group:{endpoint_group(thing.name)}"
    tags = {PROJECT_TAG: thing.project} | ({RUN_TAG: thing.run} if thing.run else {})
    ask = partial(clients.logs.tag_resource, resourceArn=arn, tags=tags)
    # Who may not tag it may still delete the endpoint, and the group after it.
    answer_unless(ask, "ResourceNotFoundException", "AccessDeniedException")


def _tagged(
    clients: Clients, scope: Scope, operation: str, member: str, kind: str, *, prefix: str | None = None
) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name, (project, run)) of what begins so (None: like the scope) and carries a tag of the scope."""
    sagemaker = clients.sagemaker
    begin = scope.prefix if prefix is None else prefix
    for page in sagemaker.get_paginator(operation).paginate():
        for summary in page[member]:
            name = summary[f"{kind}Name"]
            if not name.startswith(begin):
                continue
            # One that was deleted since the list was made has no tags any more.
            told = unless_gone(partial(sagemaker.list_tags, ResourceArn=summary[f"{kind}Arn"]))
            owner = scope.owner(told["Tags"]) if told else None
            if owner is not None:
                yield name, owner
