"""Apply a plan: the old documents go into a file first, the new ones are written before the old ones are taken away."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.secure.plan import Plan

_FORMAT = "sagehound roles before secure --apply, 1"


def save(plans: Iterable[Plan], account_id: str, folder: Path) -> Path:
    """Write what the roles have now into a new file that only its owner reads, and name it."""
    now = datetime.now(UTC)
    content = {
        "format": _FORMAT,
        "saved": now.isoformat(timespec="seconds"),
        "account": account_id,
        "roles": [_role_before(plan) for plan in plans],
    }
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        suffix = f"-{number}" if number > 1 else ""
        path = folder / f"sagehound-roles-{now:%Y%m%d-%H%M%S}{suffix}.json"
        try:
            path.touch(mode=0o600, exist_ok=False)
            break
        except FileExistsError:
            number += 1
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def apply_plan(iam: Any, plan: Plan) -> None:
    """Change the role as planned."""
    role = plan.role.name
    for name, document in plan.put.items():
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    for policy in plan.detach:
        iam.detach_role_policy(RoleName=role, PolicyArn=policy.arn)
    for name in plan.remove:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    if plan.trust is not None:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(plan.trust))


def restore(iam: Any, path: Path, account_id: str, step: str) -> list[str]:
    """Give the roles of a saved file their policies and their trust back; returns their names."""
    hint = "Name a file that `sagehound secure --apply` wrote."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StepFailed(step, f"{path} cannot be read: {error}", hint) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise StepFailed(step, f"{path} holds no saved roles", hint)
    if content["account"] != account_id:
        raise StepFailed(
            step, f"{path} is of account {content['account']}, not {account_id}", "Use the keys of that account."
        )
    for saved in content["roles"]:
        _restore_role(iam, saved)
    return [str(saved["RoleName"]) for saved in content["roles"]]


def _role_before(plan: Plan) -> dict[str, Any]:
    role = plan.role
    inline = {policy.name: policy.document for policy in role.policies if not policy.arn}
    return {
        "RoleName": role.name,
        "Arn": role.arn,
        "AssumeRolePolicyDocument": role.trust,
        "InlinePolicies": inline,
        "AttachedPolicies": [
            {"PolicyName": policy.name, "PolicyArn": policy.arn, "Document": policy.document}
            for policy in role.policies
            if policy.arn
        ],
        "Added": [name for name in plan.put if name not in inline],
    }


def _restore_role(iam: Any, saved: dict[str, Any]) -> None:
    role = saved["RoleName"]
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(saved["AssumeRolePolicyDocument"]))
    for name, document in saved["InlinePolicies"].items():
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    for policy in saved["AttachedPolicies"]:
        iam.attach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
    there = {
        name for page in iam.get_paginator("list_role_policies").paginate(RoleName=role) for name in page["PolicyNames"]
    }
    for name in saved["Added"]:
        if name in there:
            iam.delete_role_policy(RoleName=role, PolicyName=name)
