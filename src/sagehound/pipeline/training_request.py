"""What CreateTrainingJob is asked: script mode as the SageMaker SDK does it, every value from a plan.

Pure functions; `training_job.py` and `tune.py` send the requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sagehound.classifier.metrics import METRIC_DEFINITIONS
from sagehound.pipeline.names import Names, digest_of
from sagehound.settings import TrainSettings

# The registry account of AWS's Deep Learning Containers in most regions (the opt-in regions have others).
IMAGE_ACCOUNT = "763104351884"
PICTURES = "training"
FEATURES = "features"
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

    def digest(self) -> str:
        """Equal for two jobs that would compute the same: not counting where inputs lie and how long it may take."""
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


def image_uri(kind: str, instance_type: str, region: str, train: TrainSettings) -> str:
    """Image of AWS's PyTorch container: ``kind`` is training or inference, p and g instances have GPUs."""
    family = instance_type.removeprefix("ml.")
    processor = "gpu" if family.startswith(("p", "g")) else "cpu"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    tag = f"{train.framework_version}-{processor}-{train.py_version}"
    return f"{IMAGE_ACCOUNT}.dkr.ecr.{region}.{domain}/pytorch-{kind}:{tag}"


def training_request(
    plan: JobPlan, job_name: str, names: Names, region: str, *, role_arn: str, code_uri: str, checkpoints: str = ""
) -> dict[str, Any]:
    """The parameters of CreateTrainingJob; ``checkpoints`` names the job whose checkpoints are kept and taken up."""
    request = {
        "TrainingJobName": job_name,
        **definition(plan, names, role_arn=role_arn),
        "HyperParameters": encoded({**plan.hyperparameters, **script_mode(plan, code_uri, job_name, region)}),
        "ResourceConfig": resources(plan),
        "Tags": names.tags,
    }
    request["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] = True
    if checkpoints:
        request["CheckpointConfig"] = {"S3Uri": names.checkpoint_uri(checkpoints)}
    return request


def definition(plan: JobPlan, names: Names, *, role_arn: str) -> dict[str, Any]:
    """The members that CreateTrainingJob and the definition of a tuning job's trials have in common."""
    output = {"S3OutputPath": names.output_uri()}
    return {
        "RoleArn": role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": plan.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [dict(one) for one in plan.metric_definitions],
        },
        "InputDataConfig": [_input(channel) for channel in plan.channels],
        "OutputDataConfig": output | ({"CompressionType": plan.compression} if plan.compression != "GZIP" else {}),
        "StoppingCondition": {"MaxRuntimeInSeconds": plan.max_runtime_seconds},
    }


def resources(plan: JobPlan) -> dict[str, Any]:
    """ResourceConfig, which the definition of trials calls HyperParameterTuningResourceConfig."""
    return {
        "InstanceType": plan.instance_type,
        "InstanceCount": plan.instance_count,
        "VolumeSizeInGB": plan.volume_size_gb,
    }


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


def _input(channel: Channel) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": channel.uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": channel.name, "DataSource": {"S3DataSource": source}}
