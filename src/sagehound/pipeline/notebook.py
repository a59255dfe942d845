"""The project's notebook instance: made or started with the notebook of the walk in it, opened, stopped, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless, aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import ROLE_TAG, Names
from sagehound.pipeline.notebook_setup import notebook_policy, on_create_script
from sagehound.pipeline.progress import Step
from sagehound.pipeline.roles import ensure_role_with
from sagehound.pipeline.waiting import poll, telling_interruption
from sagehound.settings import PipelineSettings

_MOVING = ("Pending", "Stopping", "Updating", "Deleting")
POLICY = "notebook"
_ROLE_TAG = {"Key": ROLE_TAG, "Value": "notebook"}


@dataclass(frozen=True)
class OpenedNotebook:
    """A notebook instance in service, and the link that opens it once."""

    name: str
    instance_type: str
    url: str
    how: str
    """created, started or was there."""


def open_notebook(clients: Clients, names: Names, settings: PipelineSettings, step: Step) -> OpenedNotebook:
    """The project's notebook instance in service, and a one-time link into it; made or started where that is needed.

    Raises StepFailed with AWS's FailureReason where it does not come into service.
    """
    name, own = notebook_name(names), settings.notebook
    with aws_step("notebook"), _telling(name):
        found = _settled(clients, name)
        if found is None:
            how = "created"
            found = _create(clients, names, settings)
        elif found["NotebookInstanceStatus"] in ("Stopped", "Failed"):
            how = "started"
            found = _start(clients, name, found, own.instance_type)
        else:
            how = "was there"
        if found is None or found["NotebookInstanceStatus"] != "InService":
            raise _failed(name, found or {}, "did not come into service")
        url = clients.sagemaker.create_presigned_notebook_instance_url(
            NotebookInstanceName=name, SessionExpirationDurationInSeconds=own.session_seconds
        )["AuthorizedUrl"]
    opened = OpenedNotebook(name, found["InstanceType"], url, how)
    step.done(
        f"{name}  InService on {opened.instance_type}, {how}",
        notebook_instance_name=name,
        instance_type=opened.instance_type,
        url=url,
        how=how,
    )
    step.lines = [f"open within five minutes, once: {url}", "it costs money while it runs: sagehound notebook --stop"]
    if opened.instance_type != own.instance_type:
        step.lines.append(f"it runs on {opened.instance_type}; stop it first to have {own.instance_type}")
    return opened


def stop_notebook(clients: Clients, names: Names, step: Step) -> None:
    """Stop the project's notebook instance; its folder is kept."""
    name = notebook_name(names)
    with aws_step("notebook"), _telling(name):
        how = _stop(clients, name)
    step.done(f"{name}  {how}", notebook_instance_name=name, how=how)


def delete_notebook(clients: Clients, names: Names, step: Step) -> None:
    """Delete the project's notebook instance with its folder, its scripts and its role; safe to repeat."""
    name = notebook_name(names)
    with aws_step("notebook"), _telling(name):
        there = remove_notebook(clients, names)
    how = "deleted" if there else "was not there"
    step.done(f"{name}  {how}", notebook_instance_name=name, how=how)


def remove_notebook(clients: Clients, names: Names) -> bool:
    """Whether there was anything of it; raises boto3's ClientError, StepFailed where it is somebody else's or stays."""
    name = notebook_name(names)
    found = describe_notebook(clients, name)
    there = found is not None
    if found is not None:
        _check_ours(clients, names, found)
        _stop(clients, name)
        clients.sagemaker.delete_notebook_instance(NotebookInstanceName=name)
        left = _settled(clients, name)
        if left is not None:
            raise _failed(name, left, "was not deleted")
    config = {"NotebookInstanceLifecycleConfigName": name}
    if _described(lambda: clients.sagemaker.describe_notebook_instance_lifecycle_config(**config)) is not None:
        clients.sagemaker.delete_notebook_instance_lifecycle_config(**config)
        there = True
    iam = clients.iam
    role = answer_unless(lambda: iam.get_role(RoleName=name), "NoSuchEntity")
    if role is None or _ROLE_TAG not in role["Role"].get("Tags", []):
        return there
    answer_unless(lambda: iam.delete_role_policy(RoleName=name, PolicyName=POLICY), "NoSuchEntity")
    answer_unless(lambda: iam.delete_role(RoleName=name), "NoSuchEntity")
    return True


def notebook_name(names: Names) -> str:
    """Of the instance, of its lifecycle configuration, and of its role."""
    return f"{names.project}-notebook"


def describe_notebook(clients: Clients, name: str) -> dict[str, Any] | None:
    """DescribeNotebookInstance, or None where there is no such instance."""
    return _described(lambda: clients.sagemaker.describe_notebook_instance(NotebookInstanceName=name))


def _create(clients: Clients, names: Names, settings: PipelineSettings) -> dict[str, Any] | None:
    name, own = notebook_name(names), settings.notebook
    role = ensure_role_with(
        clients,
        name,
        POLICY,
        notebook_policy(names, clients.region, clients.account_id, clients.partition),
        service="sagemaker.amazonaws.com",
        description="Lets the notebook of a sagehound project walk through all of its steps",
        tags=[*names.tags, _ROLE_TAG],
    )
    config = {"NotebookInstanceLifecycleConfigName": name}
    scripts = {"OnCreate": [{"Content": on_create_script(settings)}]}
    if _described(lambda: clients.sagemaker.describe_notebook_instance_lifecycle_config(**config)) is None:
        clients.sagemaker.create_notebook_instance_lifecycle_config(**config, **scripts, Tags=names.tags)
    else:
        clients.sagemaker.update_notebook_instance_lifecycle_config(**config, **scripts)
    clients.sagemaker.create_notebook_instance(
        NotebookInstanceName=name,
        InstanceType=own.instance_type,
        RoleArn=role,
        LifecycleConfigName=name,
        VolumeSizeInGB=own.volume_size_gb,
        Tags=names.tags,
    )
    return _settled(clients, name)


def _start(clients: Clients, name: str, found: dict[str, Any], instance_type: str) -> dict[str, Any] | None:
    if found["InstanceType"] != instance_type:
        clients.sagemaker.update_notebook_instance(NotebookInstanceName=name, InstanceType=instance_type)
        _settled(clients, name)
    clients.sagemaker.start_notebook_instance(NotebookInstanceName=name)
    return _settled(clients, name)


def _stop(clients: Clients, name: str) -> str:
    found = _settled(clients, name)
    if found is None:
        return "was not there"
    if found["NotebookInstanceStatus"] != "InService":
        return f"was {found['NotebookInstanceStatus']}"
    clients.sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    found = _settled(clients, name)
    if found is not None and found["NotebookInstanceStatus"] != "Stopped":
        raise _failed(name, found, "did not stop")
    return "stopped"


def _settled(clients: Clients, name: str) -> dict[str, Any] | None:
    """The instance once its status moves no more; None where there is none (any more)."""
    return poll(
        lambda: describe_notebook(clients, name),
        lambda found: found is None or found["NotebookInstanceStatus"] not in _MOVING,
        clients.place.pauses(),
    )


def _described(ask: Any) -> dict[str, Any] | None:
    """SageMaker says ValidationException "RecordNotFound" or "does not exist" of what is not there."""
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = ask()
    except ClientError as error:
        message = str(error.response["Error"]["Message"])
        if "RecordNotFound" in message or "does not exist" in message:
            return None
        raise
    return found


def _check_ours(clients: Clients, names: Names, found: dict[str, Any]) -> None:
    if names.tags[0] not in clients.sagemaker.list_tags(ResourceArn=found["NotebookInstanceArn"])["Tags"]:
        raise StepFailed(
            "notebook",
            f"notebook instance {found['NotebookInstanceName']} does not carry the tag of project {names.project}",
            "Whoever made it may delete it.",
        )


def _failed(name: str, found: dict[str, Any], what: str) -> StepFailed:
    reason = found.get("FailureReason") or f"it is {found.get('NotebookInstanceStatus', 'gone')}"
    hint = "Do what it says and run the same command again; --delete removes the instance."
    return StepFailed("notebook", f"notebook instance {name} {what}: {reason}", hint)


def _telling(name: str) -> Any:
    return telling_interruption(
        "notebook",
        f"notebook instance {name} goes on",
        "Run the same command again to come back to it, or with --delete to remove it.",
    )
