"""A tuning job as the SageMaker SDK v2 asks for it."""

from __future__ import annotations

import json

from tests.cloud.tuning import TuningWorkshop
from tests.cloud_process import CloudProcess

CONFIG = {
    "Strategy": "Bayesian",
    "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
    "TrainingJobEarlyStoppingType": "Off",
    "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "Test Loss"},
    "ParameterRanges": {
        "ContinuousParameterRanges": [
            {"Name": "learning_rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Auto"}
        ],
        "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ['"32"', '"64"', '"128"', '"256"', '"512"']}],
        "IntegerParameterRanges": [],
    },
}


def test_the_request_of_sdk_v2_is_taken_as_it_comes(cloud: CloudProcess) -> None:
    """Recorded of sagemaker 2.257.7, but for bucket and role."""
    shop = TuningWorkshop(cloud)
    template = shop.request("print('Testing Loss: 0.25')")
    source = template["HyperParameters"]["sagemaker_submit_directory"]
    shop.put("data/picture.jpg", "no picture")
    name = "pytorch-training-261122-1051"
    shop.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig=CONFIG,
        TrainingJobDefinition={
            "StaticHyperParameters": {
                "sagemaker_submit_directory": source,
                "sagemaker_program": '"train.py"',
                "sagemaker_container_log_level": "20",
                "sagemaker_job_name": '"pytorch-dog-hpo-2026-11-22-10-51-48-657"',
                "sagemaker_region": '"us-east-1"',
                "sagemaker_estimator_class_name": '"PyTorch"',
                "sagemaker_estimator_module": '"sagemaker.pytorch.estimator"',
            },
            "RoleArn": shop.role_arn,
            "OutputDataConfig": {"S3OutputPath": f"s3://{shop.bucket}/"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
            "HyperParameterTuningResourceConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.g4dn.xlarge",
                "VolumeSizeInGB": 30,
            },
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
                "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.11.0-gpu-py38",
            },
            "InputDataConfig": [
                {
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{shop.bucket}/data/",
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                    "ChannelName": "training",
                }
            ],
        },
    )
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert shop.values(name) == [0.25, 0.25]
    best = shop.describe(ended["BestTrainingJob"]["TrainingJobName"])
    assert json.loads(best["HyperParameters"]["batch_size"]) in ("32", "64", "128", "256", "512")
    assert best["ResourceConfig"]["InstanceType"] == "ml.g4dn.xlarge"
    # HyperparameterTuner.attach() makes its estimator from these.
    told = ended["TrainingJobDefinition"]
    assert told["ResourceConfig"] == told["HyperParameterTuningResourceConfig"]
    assert told["StaticHyperParameters"]["_tuning_objective_metric"] == "Test Loss"
