"""Clean-up: everything that the project made, found by its tag in AWS itself, and deleted.

What carries another tag or none is left alone, also where its name fits. Training jobs cannot be deleted on
AWS: those that run are stopped, the others stay in the history without their artefacts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of, is_missing
from sagehound.pipeline.bucket import list_objects, made_here
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import describe_endpoint, settled_endpoint
from sagehound.pipeline.function_cleanup import FunctionBelongings, delete_functions, find_functions
from sagehound.pipeline.log_tail import endpoint_group
from sagehound.pipeline.names import ROLE_TAG, Names
from sagehound.pipeline.progress import Step
from sagehound.pipeline.scaling_cleanup import ScalingPlace, find_scaling, remove_scaling
from sagehound.pipeline.scaling_permissions import scaling_step
from sagehound.pipeline.trials import trials_of
from sagehound.pipeline.waiting import interrupted, poll

MOVING = ("InProgress", "Stopping")
_DELETED_AT_ONCE = 1000  # DeleteObjects takes no more


@dataclass
class Belongings:
    """What a project has, by kind."""

    functions: FunctionBelongings = FunctionBelongings()
    scaling: list[ScalingPlace] = field(default_factory=list)
    endpoints: list[str] = field(default_factory=list)
    endpoint_configs: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    tuning_jobs: list[str] = field(default_factory=list)
    running_jobs: list[str] = field(default_factory=list)
    bucket: str = ""
    bucket_is_ours: bool = False
    objects: int = 0
    role: str = ""
    role_is_ours: bool = False

    def lines(self) -> list[str]:
        """One line per thing that would be deleted."""
        lines = [f"scaling of {place.resource_id} (policies, alarms)" for place in self.scaling]
        lines += self.functions.lines()
        lines += [f"endpoint {name}" for name in self.endpoints]
        lines += [f"endpoint configuration {name}" for name in self.endpoint_configs]
        lines += [f"model {name}" for name in self.models]
        lines += [f"tuning job {name} (stopped)" for name in self.tuning_jobs]
        lines += [f"training job {name} (stopped)" for name in self.running_jobs]
        if self.bucket:
            what = "bucket" if self.bucket_is_ours else "this project's objects in bucket"
            lines.append(f"{what} {self.bucket} ({self.objects:,} objects)")
        if self.role:
            lines.append(f"role {self.role}" if self.role_is_ours else f"this project's policy on role {self.role}")
        return lines


def find_belongings(clients: Clients, names: Names) -> Belongings:
    """What clean-up would delete."""
    found = Belongings()
    with aws_step("delete"):
        found.functions = find_functions(clients, names)
        # An endpoint may have any name (deploy.endpoint_name, --endpoint): only its tag tells whose it is.
        found.endpoints = list(
            _tagged(clients, names, "list_endpoints", "Endpoints", "EndpointName", "EndpointArn", prefix="")
        )
        found.scaling = find_scaling(clients, names, found.endpoints, found.functions.functions)
        found.endpoint_configs = list(
            _tagged(
                clients, names, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn"
            )
        )
        found.models = list(_tagged(clients, names, "list_models", "Models", "ModelName", "ModelArn"))
        found.tuning_jobs = _moving(clients, names, "HyperParameterTuningJob", [names.tuning_prefix])
        found.running_jobs = _moving(clients, names, "TrainingJob", [names.features_prefix, names.job_prefix])
        ours = made_here(clients, names)
        if ours is not None:
            found.objects = len(list_objects(clients, names.bucket, "" if ours else f"{names.project}/"))
            found.bucket_is_ours = ours
            found.bucket = names.bucket if ours or found.objects else ""
        policies = _inline_policies(clients, names)
        if policies is not None and names.policy in policies:
            found.role = names.role
            ours_only = not set(policies) - {names.policy, names.least_policy}
            found.role_is_ours = ours_only and _role_was_made_here(clients, names)
    return found


def delete_belongings(clients: Clients, names: Names, found: Belongings, step: Step) -> None:
    """Delete what was found, what uses something before what is used; raises StepFailed at the first refusal."""
    with scaling_step("delete"):
        # Before what they scale: a policy that still acts would move an endpoint that is to go.
        for place in found.scaling:
            remove_scaling(clients, place)
    with aws_step("delete"):
        for job in found.tuning_jobs:
            _stop(partial(clients.sagemaker.stop_hyper_parameter_tuning_job, HyperParameterTuningJobName=job))
        for job in found.running_jobs:
            _stop(partial(clients.sagemaker.stop_training_job, TrainingJobName=job))
        delete_functions(clients, found.functions)
        _delete_endpoints(clients, found.endpoints)
        for name in found.endpoint_configs:
            _unless_missing(partial(clients.sagemaker.delete_endpoint_config, EndpointConfigName=name))
        for name in found.models:
            _unless_missing(partial(clients.sagemaker.delete_model, ModelName=name))
        _wait_for_jobs(clients, found)
        if found.bucket:
            _empty_bucket(clients, names, everything=found.bucket_is_ours)
            if found.bucket_is_ours:
                clients.s3.delete_bucket(Bucket=found.bucket)
        if found.role:
            for policy in (names.policy, names.least_policy):
                _unless_missing(partial(clients.iam.delete_role_policy, RoleName=found.role, PolicyName=policy))
            if found.role_is_ours:
                clients.iam.delete_role(RoleName=found.role)
    lines = found.lines()
    step.lines = lines
    step.done(f"{len(lines)} things deleted" if lines else "nothing to delete", deleted=lines)


def _tagged(
    clients: Clients,
    names: Names,
    operation: str,
    member: str,
    name_member: str,
    arn_member: str,
    *,
    prefix: str | None = None,
) -> Iterator[str]:
    """Names of the resources of one kind that begin so (None: like the project) and carry the project's tag."""
    begin = f"{names.project}-" if prefix is None else prefix
    for page in clients.sagemaker.get_paginator(operation).paginate():
        for summary in page[member]:
            if not summary[name_member].startswith(begin):
                continue
            if names.tags[0] in clients.sagemaker.list_tags(ResourceArn=summary[arn_member])["Tags"]:
                yield summary[name_member]


def _delete_endpoints(clients: Clients, endpoints: list[str]) -> None:
    for name in endpoints:
        settled_endpoint(clients, name)  # one that is still being made or moved cannot be deleted
        _unless_missing(partial(clients.sagemaker.delete_endpoint, EndpointName=name))
    for name in endpoints:
        try:
            last = poll(
                partial(describe_endpoint, clients, name),
                lambda found: found is None or found["EndpointStatus"] == "Failed",
                clients.place.pauses(),
            )
        except KeyboardInterrupt:
            raise interrupted("delete", f"endpoint {name} is being deleted", "Run `sagehound delete` again.") from None
        if last is not None:
            raise StepFailed("delete", f"endpoint {name}: {last.get('FailureReason')}", "Run `sagehound delete` again.")
        _unless_missing(partial(clients.logs.delete_log_group, logGroupName=endpoint_group(name)))


def _moving(clients: Clients, names: Names, kind: str, prefixes: list[str]) -> list[str]:
    """Names of the jobs of one kind that run or are being stopped, begin so, and carry the project's tag."""
    operation = {"TrainingJob": "list_training_jobs", "HyperParameterTuningJob": "list_hyper_parameter_tuning_jobs"}
    found = []
    for prefix in prefixes:
        for status in ("InProgress", "Stopping"):
            pages = clients.sagemaker.get_paginator(operation[kind]).paginate(NameContains=prefix, StatusEquals=status)
            for summary in (summary for page in pages for summary in page[f"{kind}Summaries"]):
                if not summary[f"{kind}Name"].startswith(prefix):
                    continue
                if names.tags[0] in clients.sagemaker.list_tags(ResourceArn=summary[f"{kind}Arn"])["Tags"]:
                    found.append(summary[f"{kind}Name"])
    return found


def _stop(stop: Callable[[], Any]) -> None:
    """A job that has ended meanwhile cannot be stopped any more, and need not be."""
    from botocore.exceptions import ClientError

    try:
        stop()
    except ClientError as error:
        if not is_missing(error) and error_of(error)[0] != "ValidationException":
            raise


def _wait_for_jobs(clients: Clients, found: Belongings) -> None:
    """A job that is being stopped still uploads its artefact: wait, or the bucket would not stay empty."""
    try:
        for job in found.tuning_jobs:
            poll(partial(_tuning_ended, clients, job), bool, clients.place.pauses())
        for job in found.running_jobs:
            poll(partial(_training_ended, clients, job), bool, clients.place.pauses())
    except KeyboardInterrupt:
        raise interrupted("delete", "jobs are being stopped", "Run `sagehound delete` again.") from None


def _tuning_ended(clients: Clients, name: str) -> bool:
    job = clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    if job["HyperParameterTuningJobStatus"] in MOVING:
        return False
    # Its trials are training jobs of their own, which may still upload when it has ended.
    return all(trial.ended for trial in trials_of(clients, name))


def _training_ended(clients: Clients, name: str) -> bool:
    return clients.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] not in MOVING


def _empty_bucket(clients: Clients, names: Names, *, everything: bool) -> None:
    """Remove every version, delete marker and unfinished multipart upload (below the project's prefix only)."""
    prefix = "" if everything else f"{names.project}/"
    s3, bucket = clients.s3, names.bucket
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        for start in range(0, len(versions), _DELETED_AT_ONCE):
            objects = [
                {"Key": version["Key"], "VersionId": version["VersionId"]}
                for version in versions[start : start + _DELETED_AT_ONCE]
            ]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise StepFailed("delete", f"{bucket}/{first['Key']}: {first['Message']}", "Remove it by hand.")
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def _inline_policies(clients: Clients, names: Names) -> list[str] | None:
    from botocore.exceptions import ClientError

    try:
        found: list[str] = clients.iam.list_role_policies(RoleName=names.role)["PolicyNames"]
    except ClientError as error:
        if error_of(error)[0] == "NoSuchEntity":
            return None
        raise
    return found


def _role_was_made_here(clients: Clients, names: Names) -> bool:
    tags = clients.iam.get_role(RoleName=names.role)["Role"].get("Tags", [])
    attached = clients.iam.list_attached_role_policies(RoleName=names.role)["AttachedPolicies"]
    return {"Key": ROLE_TAG, "Value": "training"} in tags and not attached


def _unless_missing(delete: Callable[[], Any]) -> None:
    """What somebody else deleted meanwhile is deleted all the same."""
    from botocore.exceptions import ClientError

    try:
        delete()
    except ClientError as error:
        if not is_missing(error) and error_of(error)[0] not in ("ResourceNotFoundException", "NoSuchEntity"):
            raise
