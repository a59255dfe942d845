"""EC2: which permissions an operation needs, on the instances and other resources that it names."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, Value, passing, tag_keys
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

PRINCIPAL = "ec2.amazonaws.com"
_NAMED = (
    ("InstanceIds", "instance"),
    ("InstanceId", "instance"),
    ("GroupId", "security-group"),
    ("KeyName", "key-pair"),
    ("VolumeId", "volume"),
)


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of EC2 needs. Describe* have no resources."""
    action, operation = f"ec2:{call.operation}", call.operation
    keys: dict[str, Value] = {"ec2:region": call.region, **tag_keys(tag["Key"] for tag in params.get("Tags", ()))}
    if "InstanceType" in params:
        keys["ec2:instancetype"] = params["InstanceType"]
    if operation.startswith("Describe"):
        return [Check(action, "*", keys)]
    if operation == "RunInstances":
        return _run_instances(call, params, keys)
    found: list[Check] = []
    for member, kind in _NAMED:
        value = params.get(member, [])
        for name in value if isinstance(value, list) else [value]:
            found.append(Check(action, _arn(call, f"{kind}/{name}"), keys))
    return found or [Check(action, "*", keys)]


def _run_instances(call: Call, params: Request, keys: dict[str, Value]) -> list[Check]:
    action = "ec2:RunInstances"
    found = [Check(action, _arn(call, f"{kind}/*"), keys) for kind in ("instance", "network-interface", "volume")]
    if "ImageId" in params:
        found.append(Check(action, arns.make("ec2", call.region, "", f"image/{params['ImageId']}"), keys))
    if "KeyName" in params:
        found.append(Check(action, _arn(call, f"key-pair/{params['KeyName']}"), keys))
    groups = params.get("SecurityGroupIds", ())
    found += [Check(action, _arn(call, f"security-group/{group}"), keys) for group in groups]
    profile = params.get("IamInstanceProfile", {})
    if name := profile.get("Name") or profile.get("Arn", "").rpartition("/")[2]:
        # The role of a profile has, as far as this cloud makes them, the profile's name.
        found.append(passing(arns.make("iam", "", call.account_id, f"role/{name}"), PRINCIPAL))
    return found


def _arn(call: Call, resource: str) -> str:
    return arns.make("ec2", call.region, call.account_id, resource)
