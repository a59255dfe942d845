"""What an EC2 training is before it has a machine: its name, its request, the least that its role may do.

Pure functions: `instance_machine.py` and `instance_role.py` send what they give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.errors import SettingsError
from sagehound.pipeline.instance_user_data import Work, user_data
from sagehound.pipeline.names import Names, digest_of

INSTANCE_TAG = "sagehound:instance"
"""Says of an instance and of what it uses for which training they were made."""
OUTCOME = "outcome.json"
_OWN_ARGUMENTS = ("training", "model_dir", "output_dir")


@dataclass(frozen=True)
class InstancePlan:
    """One training on an instance: all that its result depends on, and how long it may take."""

    program: str
    code_digest: str
    code_key: str
    hyperparameters: Mapping[str, Any]
    data_prefix: str
    data_digest: str
    archive: str
    """A zip that the instance fetches in place of the uploaded pictures; empty: none."""
    image: str
    instance_type: str
    limit_seconds: int
    key_name: str = ""
    subnet_id: str = ""

    def digest(self) -> str:
        """Equal for two trainings that would compute the same on the same kind of machine."""
        counted = {
            "program": self.program,
            "code": self.code_digest,
            "hyperparameters": dict(self.hyperparameters),
            "data": self.archive or self.data_digest,
            "image": self.image,
            "instance_type": self.instance_type,
        }
        return digest_of(counted)


def instance_prefix(names: Names) -> str:
    """What the names of all the project's EC2 trainings begin with; a role may be called so too."""
    return f"{names.project}-instance-"


def run_name(names: Names, plan: InstancePlan) -> str:
    """Name of the training, and of the role, the profile and the security group that it has while it runs."""
    return f"{instance_prefix(names)}{plan.digest()[:12]}"


def results_prefix(names: Names) -> str:
    """Where the models of all the project's EC2 trainings lie in the bucket (ends with a slash)."""
    return f"{names.project}/instances/"


def result_prefix(names: Names, run: str) -> str:
    """Where the training's model lies in the bucket (ends with a slash)."""
    return f"{results_prefix(names)}{run}/"


def instance_tags(names: Names, run: str) -> list[dict[str, str]]:
    """The project's tags, and the training's."""
    return [*names.tags, {"Key": INSTANCE_TAG, "Value": run}]


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """The command line of the entry point, as a SageMaker container writes it."""
    taken = next((name for name in _OWN_ARGUMENTS if name in hyperparameters), "")
    if taken:
        raise SettingsError(
            f"train.hyperparameters.{taken} is set by the instance itself", "Leave it out: the folders are its own."
        )
    return [word for name, value in hyperparameters.items() for word in (f"--{name}", str(value))]


def work_of(plan: InstancePlan, names: Names, run: str, region: str) -> Work:
    """What the instance's user data say."""
    return Work(
        run=run,
        region=region,
        bucket=names.bucket,
        code_key=plan.code_key,
        data_prefix=plan.data_prefix,
        data_archive=plan.archive,
        result_prefix=result_prefix(names, run),
        program=plan.program,
        arguments=arguments(plan.hyperparameters),
        instance_type=plan.instance_type,
        limit_seconds=plan.limit_seconds,
    )


def launch_request(
    plan: InstancePlan, names: Names, run: str, region: str, *, image_id: str, group_id: str, token: str
) -> dict[str, Any]:
    """The parameters of RunInstances: no key and no open port needed, metadata only with a token, gone when it ends.

    ``token`` makes a request that is sent again, because its answer was lost, give the same instance.
    """
    tags = [*instance_tags(names, run), {"Key": "Name", "Value": run}]
    request: dict[str, Any] = {
        "ImageId": image_id,
        "InstanceType": plan.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "UserData": user_data(work_of(plan, names, run, region)),
        "IamInstanceProfile": {"Name": run},
        "SecurityGroupIds": [group_id],
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
        "ClientToken": token,
    }
    if plan.key_name:
        request["KeyName"] = plan.key_name
    if plan.subnet_id:
        request["SubnetId"] = plan.subnet_id
    return request


@dataclass(frozen=True)
class Place:
    """Where in AWS a policy holds."""

    region: str
    account_id: str
    partition: str = "aws"


def instance_policy(plan: InstancePlan, names: Names, run: str, place: Place) -> dict[str, Any]:
    """The least that works: read this training's data and code, write its result; nothing else, and no log."""
    buckets = f"arn:{place.partition}:s3:::"
    bucket = f"{buckets}{names.bucket}"
    readable = [f"{bucket}/{plan.code_key}"]
    statements: list[dict[str, Any]] = []
    if plan.archive.startswith("s3://"):
        readable.append(f"{buckets}{plan.archive.removeprefix('s3://')}")
    elif not plan.archive:
        readable.append(f"{bucket}/{plan.data_prefix}*")
        statements.append(
            {
                "Sid": "ListData",
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": f"{plan.data_prefix}*"}},
            }
        )
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "ReadDataAndCode", "Effect": "Allow", "Action": "s3:GetObject", "Resource": readable},
            *statements,
            {
                "Sid": "WriteResult",
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": f"{bucket}/{result_prefix(names, run)}*",
            },
            *_bucket_key(names.aws.bucket_kms_key, place),
        ],
    }


def _bucket_key(key: str, place: Place) -> list[dict[str, Any]]:
    """What a bucket that is encrypted with a key of KMS takes: the key, for what S3 does with it."""
    if not key:
        return []
    keys = f"arn:{place.partition}:kms:{place.region}:{place.account_id}:key/"
    condition: dict[str, Any] = {"StringEquals": {"kms:ViaService": f"s3.{place.region}.amazonaws.com"}}
    name = key.rpartition(":")[2]
    if name.startswith("alias/"):
        # An alias moves from key to key.
        resource = f"{keys}*"
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": name}
    else:
        resource = key if key.startswith("arn:") else f"{keys}{key}"
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    return [{"Sid": "UseBucketKey", "Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition}]


def trust_of_ec2() -> dict[str, Any]:
    """Who may be the role: EC2, for its instances (it names no source account when it assumes a role)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }


def has_tag(tags: Sequence[Mapping[str, str]], key: str, value: str | None = None) -> bool:
    """Whether a resource carries a tag (of this value)."""
    return any(tag["Key"] == key and value in (None, tag["Value"]) for tag in tags)
