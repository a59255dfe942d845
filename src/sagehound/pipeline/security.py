"""The role that jobs and endpoints run as: trusted by SageMaker only, allowed what a job does and no more."""

from __future__ import annotations

from typing import Any

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import ROLE_TAG, Names
from sagehound.pipeline.roles import ensure_role_with
from sagehound.pipeline.training_request import IMAGE_ACCOUNT


def training_policy(names: Names, region: str, account_id: str) -> dict[str, Any]:
    """The inline policy: this project's keys of its bucket, its logs and metrics, and AWS's PyTorch images.

    A job writes below its outputs and checkpoints only: it cannot change the pictures, or the code that others run.
    """
    bucket = f"arn:aws:s3:::{names.bucket}"
    made = ["jobs", "checkpoints"]
    logs = f"arn:aws:logs:{region}:{account_id}:log-group:/aws/sagemaker"
    repositories = f"arn:aws:ecr:{region}:{IMAGE_ACCOUNT}:repository"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": [f"{bucket}/{names.project}/{folder}/*" for folder in ["data", "code", *made]],
            },
            {
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": [f"{bucket}/{names.project}/{folder}/*" for folder in made],
            },
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": bucket,
                "Condition": {
                    "StringLike": {"s3:prefix": [f"{names.project}/{folder}/*" for folder in ["data", *made]]}
                },
            },
            {
                "Effect": "Allow",
                "Action": [
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ],
                "Resource": [f"{logs}/TrainingJobs*", f"{logs}/Endpoints/{names.endpoint}*"],
            },
            {
                "Effect": "Allow",
                "Action": "cloudwatch:PutMetricData",
                "Resource": "*",
                "Condition": {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
            },
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
                "Resource": [f"{repositories}/pytorch-training", f"{repositories}/pytorch-inference"],
            },
        ],
    }


def ensure_role(clients: Clients, names: Names, step: str) -> str:
    """ARN of the execution role, made and given the project's inline policy where that is not so yet.

    A role that exists keeps what else it has: only the inline policy named after the project is written.
    """
    with aws_step(step):
        return ensure_role_with(
            clients,
            names.role,
            names.policy,
            training_policy(names, clients.region, clients.account_id),
            service="sagemaker.amazonaws.com",
            description="Runs the training jobs and endpoints of sagehound",
            tags=[{"Key": ROLE_TAG, "Value": "training"}],
        )
