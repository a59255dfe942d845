"""What CreateTrainingJob is asked: script mode as the SageMaker SDK does it, every value from the settings.

Pure functions; `train.py` sends the request.
"""

from __future__ import annotations

import json
from typing import Any

from sagehound.classifier.metrics import METRIC_DEFINITIONS
from sagehound.pipeline.names import Names, digest_of
from sagehound.settings import TrainSettings

# The registry account of AWS's Deep Learning Containers in most regions (the opt-in regions have others).
IMAGE_ACCOUNT = "763104351884"
CHANNEL = "training"


def image_uri(kind: str, instance_type: str, region: str, train: TrainSettings) -> str:
    """Image of AWS's PyTorch container: ``kind`` is training or inference, p and g instances have GPUs."""
    family = instance_type.removeprefix("ml.")
    processor = "gpu" if family.startswith(("p", "g")) else "cpu"
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    tag = f"{train.framework_version}-{processor}-{train.py_version}"
    return f"{IMAGE_ACCOUNT}.dkr.ecr.{region}.{domain}/pytorch-{kind}:{tag}"


def hyperparameters(train: TrainSettings) -> dict[str, Any]:
    """What the entry point is told; epochs = 0 leaves their number to it."""
    values: dict[str, Any] = {
        "learning_rate": train.learning_rate,
        "batch_size": train.batch_size,
        "seed": train.seed,
        "backbone": train.backbone,
        "gear": train.gear,
        "weight_decay": train.weight_decay,
    }
    return values | ({"epochs": train.epochs} if train.epochs else {})


def training_digest(train: TrainSettings, region: str, code_digest: str, data_digest: str, data_uri: str) -> str:
    """Equal for two jobs that would compute the same: code, data, hyperparameters, container and instances."""
    return digest_of(
        {
            "code": code_digest,
            "data": data_digest,
            "uri": data_uri,
            "entry_point": train.entry_point,
            "hyperparameters": hyperparameters(train),
            "image": image_uri("training", train.instance_type, region, train),
            "instance_type": train.instance_type,
            "instance_count": train.instance_count,
        }
    )


def training_request(
    job_name: str,
    checkpoint_name: str,
    train: TrainSettings,
    names: Names,
    region: str,
    *,
    role_arn: str,
    code_uri: str,
    data_uri: str,
) -> dict[str, Any]:
    """The parameters of CreateTrainingJob; hyperparameters are JSON-quoted strings, as the SDK sends them."""
    script_mode = {
        "sagemaker_submit_directory": code_uri,
        "sagemaker_program": train.entry_point,
        "sagemaker_container_log_level": 20,
        "sagemaker_job_name": job_name,
        "sagemaker_region": region,
    }
    values = hyperparameters(train) | script_mode
    return {
        "TrainingJobName": job_name,
        "RoleArn": role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": image_uri("training", train.instance_type, region, train),
            "TrainingInputMode": "File",
            "MetricDefinitions": METRIC_DEFINITIONS,
            "EnableSageMakerMetricsTimeSeries": True,
        },
        "HyperParameters": {name: json.dumps(value) for name, value in values.items()},
        "InputDataConfig": [
            {
                "ChannelName": CHANNEL,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": data_uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": names.output_uri()},
        "CheckpointConfig": {"S3Uri": names.checkpoint_uri(checkpoint_name)},
        "ResourceConfig": {
            "InstanceType": train.instance_type,
            "InstanceCount": train.instance_count,
            "VolumeSizeInGB": train.volume_size_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": train.max_runtime_seconds},
        "Tags": names.tags,
    }
