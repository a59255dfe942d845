"""Users and roles of a test, each with the policies that the test gives it and clients of its own."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from tests.cloud_process import START_LIMIT, CloudProcess


def statement(effect: str, action: str | list[str], resource: str | list[str] = "*", **members: Any) -> dict[str, Any]:
    """One statement; `members` are Sid, Condition, Principal."""
    return {"Effect": effect, "Action": action, "Resource": resource, **members}


def document(*statements: dict[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str | list[str] = "*", **members: Any) -> str:
    """A policy of one statement that allows."""
    return document(statement("Allow", action, resource, **members))


class Person:
    """A user with a key, or a session of a role."""

    def __init__(self, cloud: CloudProcess, arn: str, keys: dict[str, Any]) -> None:
        self.cloud = cloud
        self.arn = arn
        self.keys = keys

    @property
    def name(self) -> str:
        """The user's own."""
        return self.arn.rpartition("/")[2]

    def client(self, service: str, **options: Any) -> Any:
        """A client that signs as this person."""
        return self.cloud.client(
            service,
            **{
                "aws_access_key_id": self.keys["AccessKeyId"],
                "aws_secret_access_key": self.keys["SecretAccessKey"],
                "aws_session_token": self.keys.get("SessionToken"),
                **options,
            },
        )

    def calls(self, count: int = 1) -> list[dict[str, Any]]:
        """What is recorded of this person's calls, once there are `count`: a record follows its answer."""
        deadline = time.monotonic() + START_LIMIT
        while True:
            found = [call for call in self.cloud.calls() if call.get("caller") == self.arn]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def may(self, policy: str, name: str = "given") -> None:
        """Give a user an inline policy, in place of the one of that name."""
        self.cloud.client("iam").put_user_policy(UserName=self.name, PolicyName=name, PolicyDocument=policy)


class People:
    """Makes users and roles, and removes them with all that hangs on them."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.cloud = cloud
        self.iam = cloud.client("iam")
        self.users: list[str] = []
        self.roles: list[str] = []
        self.policies: list[str] = []

    def user(self, policy: str | None = None, **options: Any) -> Person:
        """A user, with an inline policy named `given`."""
        name = f"person-{uuid.uuid4().hex[:10]}"
        arn = self.iam.create_user(UserName=name, **options)["User"]["Arn"]
        self.users.append(name)
        person = Person(self.cloud, arn, self.iam.create_access_key(UserName=name)["AccessKey"])
        if policy is not None:
            person.may(policy)
        return person

    def role(self, policy: str | None = None, *, principal: dict[str, Any] | None = None, **options: Any) -> str:
        """The ARN of a role with an inline policy named `given`, which this account trusts, or `principal` only."""
        name = f"role-{uuid.uuid4().hex[:10]}"
        trusted = statement(
            "Allow", ["sts:AssumeRole", "sts:TagSession"], Principal=principal or {"AWS": self.cloud.account_id}
        )
        del trusted["Resource"]
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trusted), **options)
        self.roles.append(name)
        if policy is not None:
            self.iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    def session(self, role_arn: str, **options: Any) -> Person:
        """A session of a role, assumed by root."""
        answer = self.cloud.client("sts").assume_role(RoleArn=role_arn, **{"RoleSessionName": "test", **options})
        return Person(self.cloud, answer["AssumedRoleUser"]["Arn"], answer["Credentials"])

    def managed(self, policy: str) -> str:
        """The ARN of a managed policy."""
        name = f"policy-{uuid.uuid4().hex[:10]}"
        arn = self.iam.create_policy(PolicyName=name, PolicyDocument=policy)["Policy"]["Arn"]
        self.policies.append(arn)
        return str(arn)

    def remove(self) -> None:
        """Everything that was made."""
        for name in self.users:
            for key in self.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
                self.iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
            for policy in self.iam.list_user_policies(UserName=name)["PolicyNames"]:
                self.iam.delete_user_policy(UserName=name, PolicyName=policy)
            for attached in self.iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
                self.iam.detach_user_policy(UserName=name, PolicyArn=attached["PolicyArn"])
            self.iam.delete_user(UserName=name)
        for name in self.roles:
            self.remove_role(name)
        for arn in self.policies:
            for version in self.iam.list_policy_versions(PolicyArn=arn)["Versions"]:
                if not version["IsDefaultVersion"]:
                    self.iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
            self.iam.delete_policy(PolicyArn=arn)

    def remove_role(self, name: str) -> None:
        """One role; none of that name is no error."""
        if name not in [role["RoleName"] for role in self.iam.list_roles(MaxItems=1000)["Roles"]]:
            return
        for policy in self.iam.list_role_policies(RoleName=name)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for attached in self.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            self.iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
        self.iam.delete_role(RoleName=name)
