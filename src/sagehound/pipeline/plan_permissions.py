"""The least policy for a plan's caller: the actions of its calls, on what they are done, and what comes with them"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sagehound.pipeline.plan_calls import Call
from sagehound.pipeline.scaling_permissions import ACTIONS
from sagehound.pipeline.secure import catalogue
from sagehound.pipeline.secure.events import action_named
from sagehound.pipeline.secure.generalise import generalise
from sagehound.pipeline.secure.statements import member

_FREE = ("sts:GetCallerIdentity",)
"""What every caller may, whatever the policy says."""
_NAMED = {
    "sagemaker": {
        "TrainingJobName": "training-job",
        "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
        "ModelName": "model",
        "EndpointName": "endpoint",
        "EndpointConfigName": "endpoint-config",
        "NotebookInstanceName": "notebook-instance",
        "NotebookInstanceLifecycleConfigName": "notebook-instance-lifecycle-config",
    },
    "lambda": {"FunctionName": "function"},
    "iam": {"RoleName": "role", "InstanceProfileName": "instance-profile"},
    "logs": {"logGroupName": "log-group"},
}
_PASSED = {"RoleArn": "sagemaker", "ExecutionRoleArn": "sagemaker", "Role": "lambda"}
_TAGGING = {
    "sagemaker": "sagemaker:AddTags",
    "iam": "iam:TagRole",
    "iam:CreateInstanceProfile": "iam:TagInstanceProfile",
    "lambda": "lambda:TagResource",
}
"""Service, or a call that is an exception there -> what its tags need."""
_NETWORK = (
    *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
    *("ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces"),
)
_KEYS = re.compile(r"KmsKeyId$|KMSMasterKeyID$")

Needs = dict[tuple[str, str], set[str]]
"""(action, service that a role is passed to, or "") -> resources."""


def where_it_fits(policy: Mapping[str, Any]) -> str:
    """Where in IAM there is room for a policy, in a sentence: IAM counts its characters without white space.

    The limits are those of IAM's quotas: a managed policy, all inline policies of a role, all of a user.
    """
    size = len(json.dumps(policy, separators=(",", ":")))
    places = {
        "a managed policy": 6_144,
        "the inline policies of a role": 10_240,
        "the inline policies of a user": 2_048,
    }
    told = [f"{name} ({most:,})" for name, most in places.items() if size <= most]
    if not told:
        return f"that is {size:,} characters, more than one policy may have: attach its statements as several"
    return f"that is {size:,} characters: there is room for it in {' or '.join(told)}"


class Permissions:
    """ARNs of one account and region, and the policy that calls there need."""

    def __init__(self, partition: str, region: str, account_id: str, project: str) -> None:
        self._partition, self._region, self._account_id = partition, region, account_id
        self._project = project

    def policy(self, calls: Iterable[Call]) -> dict[str, Any]:
        """The policy document: equal resources stand in one statement."""
        needs: Needs = defaultdict(set)
        for call in calls:
            for action, passed_to, resource in self._of(call):
                needs[action, passed_to].add(resource)
        grouped: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
        for (action, passed_to), resources in needs.items():
            kept = {"*"} if "*" in resources else generalise(action, resources, self._project)
            grouped[tuple(sorted(kept)), passed_to].add(action)
        statements = [_statement(sorted(actions), *key) for key, actions in grouped.items()]
        return {"Version": "2012-10-17", "Statement": sorted(statements, key=lambda one: str(one["Action"]))}

    def _of(self, call: Call) -> Iterator[tuple[str, str, str]]:
        """(action, service that a role is passed to, resource) of one call."""
        action = action_named(call.service, call.operation) or call.name
        if action in _FREE:
            return
        resources = list(self._resources(call)) if catalogue.takes_resource(action) else ["*"]
        for resource in resources or ["*"]:
            yield action, "", resource
        if call.operation.startswith(("Create", "Register")) and (call.params.get("Tags") or call.params.get("tags")):
            tagging = _TAGGING.get(call.name) or _TAGGING.get(call.service)
            for resource in resources if tagging else []:
                yield str(tagging), "", resource
        yield from self._with_it(call)

    def _with_it(self, call: Call) -> Iterator[tuple[str, str, str]]:
        """The permissions that a call asks for beside its own: passing roles, keys, networks, S3's two-in-one."""
        for name, value in _members(call.params):
            if name in _PASSED and isinstance(value, str) and ":role/" in value:
                yield "iam:PassRole", f"{_PASSED[name]}.amazonaws.com", value
            elif _KEYS.search(name) and value:
                # What lies in a bucket is read and written with its key; a volume's is used by grant.
                content = ("kms:Decrypt", "kms:GenerateDataKey")
                for action in content if name == "KMSMasterKeyID" else ("kms:CreateGrant", "kms:DescribeKey"):
                    yield action, "", self._key(str(value))
            elif name == "VpcConfig":
                for action in _NETWORK:
                    yield action, "", "*"
        if call.name == "iam:AddRoleToInstanceProfile":
            # Who launches an instance with a profile passes the role that is in it.
            yield (
                "iam:PassRole",
                "ec2.amazonaws.com",
                f"arn:{self._partition}:iam::{self._account_id}:role/{call.params['RoleName']}",
            )
        if call.service == "ec2" and call.params.get("TagSpecifications"):
            yield "ec2:CreateTags", "", "*"
        if call.name in ("s3:HeadObject", "s3:GetObject"):
            # Without it S3 says 403 of what is not there, and no step could tell.
            yield "s3:ListBucket", "", f"arn:{self._partition}:s3:::{call.params['Bucket']}"
        if call.name == "logs:DescribeLogStreams":
            # What the streams hold is read while a job runs, and a planned one never does.
            group = call.params["logGroupName"]
            home = f"arn:{self._partition}:logs:{self._region}:{self._account_id}:log-group"
            yield "logs:GetLogEvents", "", f"{home}:{group}:log-stream:*"
        if call.name == "application-autoscaling:RegisterScalableTarget":
            yield from self._scaled(call.params)
            linked = f"arn:{self._partition}:iam::{self._account_id}:role/aws-service-role/*"
            yield "iam:CreateServiceLinkedRole", "", linked
        if call.name == "application-autoscaling:PutScalingPolicy":
            for action in ("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"):
                yield action, "", f"arn:{self._partition}:cloudwatch:{self._region}:{self._account_id}:alarm:*"

    def _scaled(self, params: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """What Application Auto Scaling does in the caller's name with a target, and asks the caller for."""
        service, kind, name = params["ServiceNamespace"], *re.split("[/:]", params["ResourceId"])[:2]
        separator = ":" if service == "lambda" else "/"
        resource = f"arn:{self._partition}:{service}:{self._region}:{self._account_id}:{kind}{separator}{name}"
        for action in ACTIONS.get(service, ()):
            for one in (resource, f"{resource}:*") if service == "lambda" else (resource,):
                yield f"{service}:{action}", "", one
        if params.get("Tags"):
            yield "application-autoscaling:TagResource", "", "*"

    def _resources(self, call: Call) -> Iterator[str]:
        params, service = call.params, call.service
        if service == "s3":
            bucket = f"arn:{self._partition}:s3:::{params.get('Bucket', '*')}"
            keys = [params["Key"]] if "Key" in params else []
            keys += [one["Key"] for one in params.get("Delete", {}).get("Objects", [])]
            yield from [f"{bucket}/{key}" for key in keys] or [bucket]
            return
        if "ResourceArn" in params:
            yield str(params["ResourceArn"])
        home = f"arn:{self._partition}:{service}:{self._region}:{self._account_id}"
        for name, kind in _NAMED.get(service, {}).items():
            if name not in params:
                continue
            value = str(params[name])
            if service == "iam":
                yield f"arn:{self._partition}:iam::{self._account_id}:{kind}/{value}"
            elif service == "lambda":
                yield value if value.startswith("arn:") else f"{home}:function:{value}"
                yield f"{home}:function:{value}:*"
            elif service == "logs":
                yield f"{home}:log-group:{value}:*"
            else:
                yield f"{home}:{kind}/{value}"

    def _key(self, key: str) -> str:
        home = f"arn:{self._partition}:kms:{self._region}:{self._account_id}:key"
        return key if key.startswith("arn:") else f"{home}/*" if key.startswith("alias/") else f"{home}/{key}"


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of the parameters with its value, however deep."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield name, below
            yield from _members(below)
    elif isinstance(value, list):
        for below in value:
            yield from _members(below)


def _statement(actions: list[str], resources: tuple[str, ...], passed_to: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": member(actions), "Resource": member(list(resources))}
    condition = {"StringEquals": {"iam:PassedToService": passed_to}}
    return {**statement, "Condition": condition} if passed_to else statement
