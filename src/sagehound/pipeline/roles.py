"""Roles that the project makes: trusted by one AWS service for this account only, with one inline policy of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.clients import Clients


def trust_policy(service: str, account_id: str) -> dict[str, Any]:
    """Who may be the role: ``service`` (``lambda.amazonaws.com``), and only when it acts for this account."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
            }
        ],
    }


def ensure_role_with(
    clients: Clients,
    role_name: str,
    policy_name: str,
    policy: dict[str, Any],
    *,
    service: str,
    description: str,
    tags: Sequence[dict[str, str]],
) -> str:
    """ARN of the role with this inline policy, made where that is not so yet; raises boto3's ClientError.

    A role that exists keeps its trust and what else it has: only the one inline policy is written.
    """
    found = answer_unless(lambda: clients.iam.get_role(RoleName=role_name), "NoSuchEntity")
    if found is None:
        found = clients.iam.create_role(
            RoleName=role_name,
            AssumeRolePolicyDocument=json.dumps(trust_policy(service, clients.account_id)),
            Description=description,
            Tags=list(tags),
        )
    if inline_policy(clients, role_name, policy_name) != policy:
        put_inline_policy(clients, role_name, policy_name, policy)
    return str(found["Role"]["Arn"])


def put_inline_policy(clients: Clients, role_name: str, policy_name: str, policy: dict[str, Any]) -> None:
    """Write an inline policy of a role."""
    document = json.dumps(policy, sort_keys=True)
    clients.iam.put_role_policy(RoleName=role_name, PolicyName=policy_name, PolicyDocument=document)


def inline_policy(clients: Clients, role_name: str, policy_name: str) -> dict[str, Any] | None:
    """An inline policy of a role, or None where there is none of this name."""
    iam = clients.iam
    answer = answer_unless(lambda: iam.get_role_policy(RoleName=role_name, PolicyName=policy_name), "NoSuchEntity")
    if answer is None:
        return None
    document = answer["PolicyDocument"]
    found: dict[str, Any] = document if isinstance(document, dict) else json.loads(document)
    return found
