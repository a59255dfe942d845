"""What CreateTrainingJob is asked: script mode as the SageMaker SDK does it, every value from a plan.

Pure functions; `training_job.py` and `tune.py` send the requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sagehound.classifier.metrics import METRIC_DEFINITIONS
from sagehound.errors import SettingsError
from sagehound.pipeline.names import Names, digest_of
from sagehound.pipeline.spot import Spot
from sagehound.settings import AwsSettings

PICTURES = "training"
FEATURES = "features"
_WITH_STORAGE = re.compile(r"^ml\.(?:g[5-9]\w*|gr\d\w*|p[4-9][\w-]*|trn\d\w*|[a-z]+\d+[a-z]*d[a-z]*)\.")
_MPI_PROCESSES_PER_HOST = 1


@dataclass(frozen=True)
class Channel:
    """One input of a job: SM_CHANNEL_NAME, where it lies, and what it holds (its digest)."""

    name: str
    uri: str
    digest: str


@dataclass(frozen=True)
class JobPlan:
    """One training job before it has a name: all that its result depends on, and how long it may take."""

    program: str
    code_digest: str
    hyperparameters: Mapping[str, Any]
    channels: tuple[Channel, ...]
    image: str
    instance_type: str
    instance_count: int = 1
    distribution: str = ""
    compression: str = "GZIP"
    metric_definitions: tuple[Mapping[str, str], ...] = field(default=tuple(METRIC_DEFINITIONS))
    volume_size_gb: int = 30
    max_runtime_seconds: int = 86_400
    spot: Spot | None = None

    def digest(self) -> str:
        """Equal for two jobs that would compute the same: not counting where it stands and how long it may take."""
        counted = {
            "program": self.program,
            "code": self.code_digest,
            "hyperparameters": dict(self.hyperparameters),
            "channels": {channel.name: channel.digest for channel in self.channels},
            "image": self.image,
            "instance_type": self.instance_type,
            "instance_count": self.instance_count,
            "distribution": self.distribution,
            "compression": self.compression,
            "metrics": [dict(definition) for definition in self.metric_definitions],
        }
        return digest_of(counted)

    def over(self, instance_count: int) -> JobPlan:
        """The same job over another number of instances."""
        return replace(self, instance_count=instance_count)


def training_request(
    plan: JobPlan, job_name: str, names: Names, region: str, *, role_arn: str, code_uri: str, checkpoints: str = ""
) -> dict[str, Any]:
    """The parameters of CreateTrainingJob; ``checkpoints`` names the job whose checkpoints are kept and taken up."""
    request = {
        "TrainingJobName": job_name,
        **definition(plan, names, role_arn=role_arn),
        "HyperParameters": encoded({**plan.hyperparameters, **script_mode(plan, code_uri, job_name, region)}),
        "ResourceConfig": resources(plan, names),
        "Tags": names.tags,
    }
    request["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] = True
    if checkpoints:
        request["CheckpointConfig"] = {"S3Uri": names.checkpoint_uri(checkpoints)}
    return request


def definition(plan: JobPlan, names: Names, *, role_arn: str) -> dict[str, Any]:
    """The members that CreateTrainingJob and the definition of a tuning job's trials have in common."""
    output = {"S3OutputPath": names.output_uri()} | _only(KmsKeyId=names.aws.output_kms_key)
    stopping = {"MaxRuntimeInSeconds": plan.max_runtime_seconds}
    return {
        "RoleArn": role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": plan.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [dict(one) for one in plan.metric_definitions],
        },
        "InputDataConfig": [_input(channel) for channel in plan.channels],
        "OutputDataConfig": output | ({"CompressionType": plan.compression} if plan.compression != "GZIP" else {}),
        "StoppingCondition": stopping | (plan.spot.stopping if plan.spot else {}),
        **({"EnableManagedSpotTraining": True} if plan.spot else {}),
        **vpc_members(names.aws),
        **_only(EnableInterContainerTrafficEncryption=names.aws.encrypt_traffic),
    }


def resources(plan: JobPlan, names: Names) -> dict[str, Any]:
    """ResourceConfig, which the definition of trials calls HyperParameterTuningResourceConfig."""
    return {
        "InstanceType": plan.instance_type,
        "InstanceCount": plan.instance_count,
        "VolumeSizeInGB": plan.volume_size_gb,
        **({} if has_storage(plan.instance_type) else _only(VolumeKmsKeyId=names.aws.volume_kms_key)),
    }


def has_storage(instance_type: str) -> bool:
    """Whether the type brings disks of its own: those are encrypted in hardware, and AWS refuses a key for them."""
    return _WITH_STORAGE.match(instance_type) is not None


def vpc_members(aws: AwsSettings) -> dict[str, Any]:
    """VpcConfig of a job, of a trial and of a model; none without subnets. Raises SettingsError for half of it."""
    subnets, groups = listed_in(aws.subnets), listed_in(aws.security_groups)
    if bool(subnets) != bool(groups):
        raise SettingsError(
            "aws.subnets and aws.security_groups belong together, and one of them is empty",
            "Give both, as in --set aws.subnets=subnet-1,subnet-2 --set aws.security_groups=sg-1.",
        )
    return {"VpcConfig": {"Subnets": subnets, "SecurityGroupIds": groups}} if subnets else {}


def listed_in(text: str) -> list[str]:
    """The entries of a setting that has commas between them."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def script_mode(plan: JobPlan, code_uri: str, job_name: str, region: str) -> dict[str, Any]:
    """The hyperparameters by which AWS's PyTorch container finds and starts the script, as the SDK sends them."""
    values: dict[str, Any] = {
        "sagemaker_submit_directory": code_uri,
        "sagemaker_program": plan.program,
        "sagemaker_container_log_level": 20,
        "sagemaker_job_name": job_name,
        "sagemaker_region": region,
    }
    if plan.distribution == "torch_distributed":
        values |= {"sagemaker_torch_distributed_enabled": True, "sagemaker_instance_type": plan.instance_type}
    elif plan.distribution == "mpi":
        values |= {
            "sagemaker_mpi_enabled": True,
            "sagemaker_mpi_num_of_processes_per_host": _MPI_PROCESSES_PER_HOST,
            "sagemaker_mpi_custom_mpi_options": "",
        }
    return values


def encoded(values: Mapping[str, Any]) -> dict[str, str]:
    """Hyperparameters as JSON texts, as the SDK sends them."""
    return {name: json.dumps(value) for name, value in values.items()}


def _only(**members: Any) -> dict[str, Any]:
    """Those members that have a value: an empty key or a False is AWS's own default."""
    return {name: value for name, value in members.items() if value}


def _input(channel: Channel) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": channel.uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": channel.name, "DataSource": {"S3DataSource": source}}
