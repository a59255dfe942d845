"""What CreateTrainingJob refuses, when AWS refuses it and in AWS's words."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sagehound.localcloud.container import debugger
from sagehound.localcloud.container.training import instance_groups
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import channels, checkpoints, images, training_metrics
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import PRINCIPAL
from sagehound.localcloud.services.sagemaker.training_records import JOBS

Job = dict[str, Any]

_NOT_HERE = ("ServerlessJobConfig", "MlflowConfig", "ModelPackageConfig")


def check(request: Job, arn: str, providers: Providers) -> None:
    """Raise the error of the first thing that is wrong with the request; `arn` is what the job's would be."""
    for member in _NOT_HERE:
        if request.get(member):
            raise _unsupported(member)
    algorithm = request.get("AlgorithmSpecification") or _missing("AlgorithmSpecification")
    if "AlgorithmName" in algorithm:
        raise _unsupported("AlgorithmSpecification.AlgorithmName (algorithm resources)")
    if "ContainerArguments" in algorithm and "ContainerEntrypoint" not in algorithm:
        raise _unsupported("ContainerArguments without ContainerEntrypoint")
    resources = request.get("ResourceConfig") or _missing("ResourceConfig")
    _check_resources(resources)
    _check_stopping(request)
    training_metrics.check(algorithm.get("MetricDefinitions", []))
    image = algorithm.get("TrainingImage") or _missing("AlgorithmSpecification.TrainingImage")
    providers.roles.role_trust(request["RoleArn"], PRINCIPAL, arn)
    images.find(image, "training", providers.settings.images, request["RoleArn"])
    channels.location(request["OutputDataConfig"]["S3OutputPath"])
    checkpoints.check(request.get("CheckpointConfig"))
    for output, place in debugger.written(request):
        checkpoints.check(place, output.member)
    groups = {group.name for group in instance_groups(resources)}
    channels.check(request.get("InputDataConfig", []), algorithm["TrainingInputMode"], groups)


def _missing(member: str) -> Any:
    raise validation(f"{member} is required.")


def _unsupported(what: str) -> AwsError:
    return AwsError("NotImplemented", f"The local cloud's training jobs do not have {what}.", 501)


def _check_resources(resources: dict[str, Any]) -> None:
    if resources.get("InstanceGroups"):
        if "InstanceType" in resources or "InstanceCount" in resources:
            raise validation("InstanceType and InstanceCount cannot be given together with InstanceGroups.")
        for group in resources["InstanceGroups"]:
            if group["InstanceCount"] < 1:
                raise validation(
                    f"ResourceConfig.InstanceGroups: InstanceCount of {group['InstanceGroupName']} must be at least 1."
                )
        return
    for member in ("InstanceType", "InstanceCount"):
        if member not in resources:
            raise validation(f"ResourceConfig.{member} is required when InstanceGroups is not given.")
    if resources["InstanceCount"] < 1:
        raise validation("ResourceConfig.InstanceCount must be at least 1.")


def _check_stopping(request: Job) -> None:
    stopping = request.get("StoppingCondition", {})
    wait = stopping.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise validation(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
            )
    elif wait is None or wait < stopping.get("MaxRuntimeInSeconds", 86_400):
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )


def check_quotas(resources: dict[str, Any], region: str, providers: Providers) -> None:
    """Refuse more instances of a type than the account may have at once."""
    used = Counter[str]()
    for job in providers.store.list(JOBS, region):
        if job["TrainingJobStatus"] in ("InProgress", "Stopping"):
            used.update(_instances(job["ResourceConfig"]))
    for instance_type, wanted in _instances(resources).items():
        quota = f"{instance_type} for training job usage"
        limit = providers.settings.quotas.get(quota)
        if limit is not None and used[instance_type] + wanted > limit:
            raise AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{quota}' is {limit} Instances, with current utilization of "
                f"{used[instance_type]} Instances and a request delta of {wanted} Instances. Please use AWS Service "
                "Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS "
                "support to request an increase for this quota.",
            )


def _instances(resources: dict[str, Any]) -> Counter[str]:
    counts = Counter[str]()
    for group in instance_groups(resources):
        counts[group.instance_type] += len(group.hosts)
    return counts
