"""Notebook instances and their lifecycle configurations: found, stopped, and removed"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.places import of_role
from sagehound.pipeline.belongings.thing import Billed, Key, Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.notebook import describe_notebook, notebook_name
from sagehound.pipeline.pricing.prices import Use
from sagehound.pipeline.waiting import poll

_MOVING = ("Pending", "Stopping", "Updating")
_CONFIG = "NotebookInstanceLifecycleConfig"


def find_notebooks(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """Notebook instances that carry a tag of the scope, whatever they are called."""
    sagemaker = clients.sagemaker
    for page in sagemaker.get_paginator("list_notebook_instances").paginate():
        for summary in page["NotebookInstances"]:
            told = unless_gone(partial(sagemaker.list_tags, ResourceArn=summary["NotebookInstanceArn"]))
            owner = scope.owner(told["Tags"]) if told else None
            found = describe_notebook(clients, summary["NotebookInstanceName"]) if owner else None
            if owner is None or found is None:
                continue
            status, instance_type = found["NotebookInstanceStatus"], found["InstanceType"]
            needs: set[Key] = of_role(found["RoleArn"])
            if found.get("NotebookInstanceLifecycleConfigName"):
                needs.add((Kind.LIFECYCLE_CONFIG, found["NotebookInstanceLifecycleConfigName"]))
            billed = None if status in ("Stopped", "Failed") else Billed(Use.NOTEBOOK, instance_type, 1)
            yield Thing(
                Kind.NOTEBOOK,
                found["NotebookInstanceName"],
                *owner,
                detail=f"{status}, {instance_type}",
                needs=frozenset(needs),
                billed=billed,
            )


def find_lifecycle_configs(clients: Clients, scope: Scope, notebooks: Iterable[Thing]) -> Iterator[Thing]:
    """The project's lifecycle configuration (every one), and those of these notebook instances."""
    sagemaker = clients.sagemaker
    names = [notebook_name(scope.names)]
    names += [name for one in notebooks for kind, name in sorted(one.needs) if kind is Kind.LIFECYCLE_CONFIG]
    if scope.everywhere:
        pages = sagemaker.get_paginator("list_notebook_instance_lifecycle_configs").paginate()
        names += [one[f"{_CONFIG}Name"] for page in pages for one in page[f"{_CONFIG}s"]]
    for name in dict.fromkeys(names):
        describe = partial(sagemaker.describe_notebook_instance_lifecycle_config, **{f"{_CONFIG}Name": name})
        found = unless_gone(describe)
        told = unless_gone(partial(sagemaker.list_tags, ResourceArn=found[f"{_CONFIG}Arn"])) if found else None
        owner = scope.owner(told["Tags"]) if told else None
        if owner is not None:
            yield Thing(Kind.LIFECYCLE_CONFIG, name, *owner)


def stop_notebook(clients: Clients, thing: Thing) -> None:
    """Ask for its end; one that is still coming up is waited for, since it cannot be stopped before."""
    found = _settled(clients, thing.name)
    if found is not None and found["NotebookInstanceStatus"] == "InService":
        unless_gone(partial(clients.sagemaker.stop_notebook_instance, NotebookInstanceName=thing.name))


def delete_notebook(clients: Clients, thing: Thing) -> None:
    """Delete it with its folder once it has stopped, and wait until it is gone; raises StepFailed."""
    found = _settled(clients, thing.name)
    if found is not None and found["NotebookInstanceStatus"] != "Deleting":
        unless_gone(partial(clients.sagemaker.delete_notebook_instance, NotebookInstanceName=thing.name))
    last: dict[str, Any] | None = poll(
        partial(describe_notebook, clients, thing.name),
        lambda found: found is None or found["NotebookInstanceStatus"] == "Failed",
        clients.place.pauses(),
    )
    if last is not None:
        raise StepFailed("delete", f"its deletion failed: {last.get('FailureReason')}", "Run `sagehound delete` again.")


def delete_lifecycle_config(clients: Clients, thing: Thing) -> None:
    """Gone at once."""
    delete = clients.sagemaker.delete_notebook_instance_lifecycle_config
    unless_gone(partial(delete, NotebookInstanceLifecycleConfigName=thing.name))


def _settled(clients: Clients, name: str) -> dict[str, Any] | None:
    return poll(
        partial(describe_notebook, clients, name),
        lambda found: found is None or found["NotebookInstanceStatus"] not in _MOVING,
        clients.place.pauses(),
    )
