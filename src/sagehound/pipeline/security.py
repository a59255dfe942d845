"""The role that jobs and endpoints run as: trusted by SageMaker only, allowed what a job does and no more."""

from __future__ import annotations

import re
from typing import Any

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.aws_images import ACCOUNTS, REPOSITORIES
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import ROLE_TAG, Names
from sagehound.pipeline.roles import ensure_role_with
from sagehound.pipeline.training_request import listed_in
from sagehound.settings import AwsSettings

_ECR = re.compile(r"^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([\w./-]+)[:@]")


def training_policy(names: Names, region: str, account_id: str, partition: str = "aws") -> dict[str, Any]:
    """The inline policy: this project's keys of its bucket, its logs and metrics, and the images that it uses.

    A job writes below its outputs and checkpoints only: it cannot change the pictures, or the code that others run.
    """
    bucket = f"arn:{partition}:s3:::{names.bucket}"
    made = ["jobs", "checkpoints"]
    logs = f"arn:{partition}:logs:{region}:{account_id}:log-group:/aws/sagemaker"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": [f"{bucket}/{names.project}/{folder}/*" for folder in ["data", "code", "instances", *made]],
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
                "Resource": _repositories(names.aws, region, partition),
            },
            *_for_network(names.aws, f"arn:{partition}:ec2:{region}:{account_id}"),
            *key_statements(names.aws, f"arn:{partition}:kms:{region}:{account_id}"),
        ],
    }


def _repositories(aws: AwsSettings, region: str, partition: str) -> list[str]:
    """The repositories of AWS's images in the region, and those of the settings' own images."""
    account = ACCOUNTS.get(region)
    given = REPOSITORIES if account else ()
    found = [f"arn:{partition}:ecr:{region}:{account}:repository/{name}" for name in given]
    own = [_ECR.match(image) for image in (aws.training_image, aws.inference_image)]
    return found + [f"arn:{partition}:ecr:{one[2]}:{one[1]}:repository/{one[3]}" for one in own if one]


def _for_network(aws: AwsSettings, ec2: str) -> list[dict[str, Any]]:
    """What SageMaker needs to put its instances into subnets of the account: interfaces there, and no other."""
    subnets, groups = listed_in(aws.subnets), listed_in(aws.security_groups)
    if not subnets:
        return []
    interfaces = f"{ec2}:network-interface/*"
    places = [f"{ec2}:subnet/{one}" for one in subnets] + [f"{ec2}:security-group/{one}" for one in groups]
    return [
        {"Effect": "Allow", "Action": "ec2:CreateNetworkInterface", "Resource": [interfaces, *places]},
        {
            "Effect": "Allow",
            "Action": ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"],
            "Resource": interfaces,
        },
        {
            "Effect": "Allow",
            "Action": [
                "ec2:DeleteNetworkInterfacePermission",
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            "Resource": "*",
        },
    ]


def key_statements(aws: AwsSettings, kms: str) -> list[dict[str, Any]]:
    """What reading and writing under keys takes, and the grant by which a volume is opened."""
    content = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
    volume = ["kms:CreateGrant", "kms:DescribeKey"]
    wanted = ((content, (aws.output_kms_key, aws.bucket_kms_key)), (volume, (aws.volume_kms_key,)))
    return [
        {"Effect": "Allow", "Action": actions, **_key(key, kms)}
        for actions, keys in wanted
        for key in dict.fromkeys(filter(None, keys))
    ]


def _key(key: str, kms: str) -> dict[str, Any]:
    """The key as a policy names it: an alias moves from key to key, so it is asked for in a condition."""
    name = key.rpartition(":")[2]
    if name.startswith("alias/"):
        named = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}}
        return {"Resource": f"{kms}:key/*", "Condition": named}
    return {"Resource": key if key.startswith("arn:") else f"{kms}:key/{key}"}


def ensure_role(clients: Clients, names: Names, step: str) -> str:
    """ARN of the execution role, made and given the project's inline policy where that is not so yet.

    A role that exists keeps what else it has: only the inline policy named after the project is written.
    """
    with aws_step(step):
        return ensure_role_with(
            clients,
            names.role,
            names.policy,
            training_policy(names, clients.region, clients.account_id, clients.partition),
            service="sagemaker.amazonaws.com",
            description="Runs the training jobs and endpoints of sagehound",
            tags=[*names.tags, {"Key": ROLE_TAG, "Value": "training"}],
        )
