"""The role that the function runs as: trusted by Lambda in this account only, allowed its endpoint and its own log."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import describe_endpoint
from sagehound.pipeline.log_tail import function_group
from sagehound.pipeline.names import ROLE_TAG, Names
from sagehound.pipeline.roles import ensure_role_with

INVOKE_SID = "InvokeEndpoint"


@dataclass(frozen=True)
class FunctionRole:
    """A role, and the inline policy that the project has on it."""

    name: str
    arn: str
    policy_name: str
    policy: dict[str, Any]


def function_policy(log_group_arn: str, endpoint_arns: Sequence[str]) -> dict[str, Any]:
    """The least that works: invoke these endpoints, write into this log group (which is made beforehand)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": INVOKE_SID,
                "Effect": "Allow",
                "Action": "sagemaker:InvokeEndpoint",
                "Resource": endpoint_arns[0] if len(endpoint_arns) == 1 else list(endpoint_arns),
            },
            {
                "Sid": "WriteLog",
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"{log_group_arn}:*",
            },
        ],
    }


def without_endpoint(policy: dict[str, Any]) -> dict[str, Any]:
    """The policy without the statement that allows the endpoint."""
    left = copy.deepcopy(policy)
    left["Statement"] = [statement for statement in left["Statement"] if statement.get("Sid") != INVOKE_SID]
    return left


def endpoint_arns(clients: Clients, endpoint_names: Sequence[str]) -> list[str]:
    """The ARNs as SageMaker has them (in small letters); raises StepFailed for an endpoint that is not there."""
    arns = []
    for name in endpoint_names:
        found = describe_endpoint(clients, name)
        if found is None:
            raise StepFailed(
                "function",
                f"endpoint {name} does not exist",
                f"Run `sagehound deploy --endpoint {name}` first, or name one that exists with --endpoint.",
            )
        arns.append(str(found["EndpointArn"]))
    return arns


def ensure_log_group(clients: Clients, names: Names, name: str) -> str:
    """ARN of the function's log group, made and tagged unless it is there: so its role need not be able to."""
    from botocore.exceptions import ClientError

    try:
        clients.logs.create_log_group(logGroupName=name, tags=names.tags_by_key)
    except ClientError as error:
        if error_of(error)[0] != "ResourceAlreadyExistsException":
            raise
    return f"arn:aws:logs:{clients.region}:{clients.account_id}:log-group:{name}"


def ensure_function_role(clients: Clients, names: Names, endpoints: Sequence[str]) -> FunctionRole:
    """The function's role with the project's inline policy, made where that is not so yet.

    A role that exists keeps its trust and what else it has: only the inline policy of the project is written.
    """
    with aws_step("function"):
        log_group = ensure_log_group(clients, names, function_group(names.function))
        policy = function_policy(log_group, endpoint_arns(clients, endpoints))
        arn = ensure_role_with(
            clients,
            names.function_role,
            names.function_policy,
            policy,
            service="lambda.amazonaws.com",
            description="Runs the function in front of a sagehound endpoint",
            tags=[*names.tags, {"Key": ROLE_TAG, "Value": "function"}],
        )
    return FunctionRole(names.function_role, arn, names.function_policy, policy)
