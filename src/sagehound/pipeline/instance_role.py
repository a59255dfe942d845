"""What an instance that trains is surrounded by: a role in an instance profile, and a security group.

Made before it and removed after it: they carry the training's own name and live as long as its instance.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless, error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_plan import InstancePlan, Place, instance_policy, instance_tags, trust_of_ec2
from sagehound.pipeline.names import ROLE_TAG, Names
from sagehound.pipeline.roles import put_inline_policy
from sagehound.pipeline.waiting import attempts

POLICY = "train"
_GROUP_FREE_SECONDS = 120.0


def ensure_profile(clients: Clients, names: Names, plan: InstancePlan, run: str) -> None:
    """The role with the one inline policy, in a profile of the same name; raises boto3's ClientError."""
    iam, tags = clients.iam, instance_tags(names, run)
    if not has_role(clients, run):
        iam.create_role(
            RoleName=run,
            AssumeRolePolicyDocument=json.dumps(trust_of_ec2()),
            Description="Lets one EC2 instance read its training data and write its model",
            Tags=[*tags, {"Key": ROLE_TAG, "Value": "instance"}],
        )
    place = Place(clients.region, clients.account_id, clients.partition)
    put_inline_policy(clients, run, POLICY, instance_policy(plan, names, run, place))
    found = answer_unless(lambda: iam.get_instance_profile(InstanceProfileName=run), "NoSuchEntity")
    if found is None:
        found = iam.create_instance_profile(InstanceProfileName=run, Tags=tags)
    if not found["InstanceProfile"]["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=run, RoleName=run)


def has_role(clients: Clients, run: str) -> bool:
    """Whether the training's role is there."""
    return answer_unless(lambda: clients.iam.get_role(RoleName=run), "NoSuchEntity") is not None


def remove_profile(clients: Clients, run: str) -> None:
    """Remove profile and role; what is not there any more is no error."""
    iam = clients.iam
    for remove in (
        partial(iam.remove_role_from_instance_profile, InstanceProfileName=run, RoleName=run),
        partial(iam.delete_instance_profile, InstanceProfileName=run),
        partial(iam.delete_role_policy, RoleName=run, PolicyName=POLICY),
        partial(iam.delete_role, RoleName=run),
    ):
        answer_unless(remove, "NoSuchEntity")


def ensure_group(clients: Clients, names: Names, plan: InstancePlan, run: str) -> str:
    """Id of a security group without a rule for what comes in, where the instance will be."""
    ec2 = clients.ec2
    vpc_id = _vpc_of(clients, plan.subnet_id)
    found = group_of(clients, run, vpc_id)
    if found:
        return found
    request: dict[str, Any] = {
        "GroupName": run,
        "Description": "Nothing comes in: the instance fetches, trains and uploads",
        "TagSpecifications": [{"ResourceType": "security-group", "Tags": instance_tags(names, run)}],
    }
    if vpc_id:
        request["VpcId"] = vpc_id
    return str(ec2.create_security_group(**request)["GroupId"])


def group_of(clients: Clients, run: str, vpc_id: str = "") -> str:
    """Id of the training's security group; empty where there is none."""
    filters = [{"Name": "group-name", "Values": [run]}]
    if vpc_id:
        filters.append({"Name": "vpc-id", "Values": [vpc_id]})
    groups = clients.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return str(groups[0]["GroupId"]) if groups else ""


def remove_group(clients: Clients, run: str) -> None:
    """Remove the security group, once the interface of the instance that has ended is gone too."""
    group_id = group_of(clients, run)
    if group_id:
        _when_free(partial(clients.ec2.delete_security_group, GroupId=group_id), clients.place.pauses())


def _vpc_of(clients: Clients, subnet_id: str) -> str:
    """The VPC of a subnet; empty: the default one, which EC2 takes by itself."""
    if not subnet_id:
        return ""
    return str(clients.ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["VpcId"])


def _when_free(remove: Callable[[], Any], pauses: Iterable[float]) -> None:
    from botocore.exceptions import ClientError

    for last in attempts(pauses, _GROUP_FREE_SECONDS):
        try:
            remove()
            return
        except ClientError as error:
            code = error_of(error)[0]
            if code == "InvalidGroup.NotFound":
                return
            if code != "DependencyViolation" or last:
                raise
