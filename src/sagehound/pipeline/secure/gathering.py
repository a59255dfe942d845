"""What there is to look at: roles with every policy that they hold, read through IAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.names import PROJECT_TAG, ROLE_TAG
from sagehound.pipeline.secure.statements import Document, Policy, as_document

ROLE_TAGS = (ROLE_TAG, PROJECT_TAG)
"""Every role that the pipeline makes carries one of them."""


@dataclass(frozen=True)
class Role:
    """A role as IAM has it now."""

    name: str
    arn: str
    created: datetime
    last_used: datetime | None
    tags: Mapping[str, str]
    trust: Document
    policies: tuple[Policy, ...]
    ours: bool
    """Whether the project made it: only then, or where it was named, is it changed."""
    own_suffix: str = ""
    """What the names of the inline policies end in that the pipeline keeps on it, one a project; empty: none."""

    @property
    def where(self) -> str:
        """How findings call it."""
        return f"role {self.name}"

    def keeps(self, policy: Policy) -> bool:
        """Whether the pipeline itself wrote the policy."""
        return bool(self.ours and self.own_suffix and not policy.arn and policy.name.endswith(self.own_suffix))


def read_role(iam: Any, name: str, own_suffix: str = "") -> Role | None:
    """The role of a name with its policies; None where there is none."""
    answer = answer_unless(lambda: iam.get_role(RoleName=name), "NoSuchEntity")
    if answer is None:
        return None
    record = answer["Role"]
    tags = {tag["Key"]: tag["Value"] for tag in record.get("Tags", [])}
    return Role(
        name=name,
        arn=record["Arn"],
        created=record["CreateDate"],
        last_used=record.get("RoleLastUsed", {}).get("LastUsedDate"),
        tags=tags,
        trust=as_document(record["AssumeRolePolicyDocument"]),
        policies=(*_inline(iam, name), *_attached(iam, name)),
        ours=any(tag in tags for tag in ROLE_TAGS),
        own_suffix=own_suffix,
    )


def named_role(iam: Any, name: str, step: str) -> Role:
    """The role that somebody named (a name or an ARN); raises StepFailed where there is none."""
    found = read_role(iam, name.rpartition("/")[2])
    if found is None:
        raise StepFailed(step, f"there is no role {name}", "`aws iam list-roles` shows the roles of this account.")
    return found


def managed_policy_arn(iam: Any, name: str, step: str) -> str:
    """The ARN of a managed policy that is named by its ARN or by its name alone, AWS's own before the account's."""
    if name.startswith("arn:"):
        found = answer_unless(lambda: iam.get_policy(PolicyArn=name), "NoSuchEntity")
        if found is not None:
            return str(found["Policy"]["Arn"])
    else:
        for scope in ("AWS", "Local"):
            for page in iam.get_paginator("list_policies").paginate(Scope=scope):
                for policy in page["Policies"]:
                    if policy["PolicyName"] == name:
                        return str(policy["Arn"])
    raise StepFailed(step, f"there is no managed policy {name}", "Give its name, such as AmazonSageMakerFullAccess.")


def _inline(iam: Any, role: str) -> list[Policy]:
    found = []
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            found.append(Policy(name, as_document(document)))
    return found


def _attached(iam: Any, role: str) -> list[Policy]:
    found = []
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for attached in page["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            found.append(Policy(attached["PolicyName"], as_document(document), arn))
    return found
