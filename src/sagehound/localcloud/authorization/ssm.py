"""Systems Manager: which permission an operation needs, on the parameters, documents and instances that it names."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, Value, bool_text, passing, request_tags, tag_keys
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

_ON_PARAMETERS = (
    "GetParameter",
    "GetParameters",
    "GetParametersByPath",
    "GetParameterHistory",
    "PutParameter",
    "DeleteParameter",
    "DeleteParameters",
)
_TAGGED = {
    "Association": "association",
    "Automation": "automation-execution",
    "CloudConnector": "cloud-connector",
    "Document": "document",
    "MaintenanceWindow": "maintenancewindow",
    "ManagedInstance": "managed-instance",
    "OpsItem": "opsitem",
    "OpsMetadata": "opsmetadata",
    "Parameter": "parameter",
    "PatchBaseline": "patchbaseline",
}
_PUBLIC = "/aws/"
_AWS_DOCUMENT = "AWS-"
_PRINCIPAL = "ssm.amazonaws.com"


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of Systems Manager needs; lists of parameters, commands, instances are about all."""
    operation = call.operation
    action, keys = f"ssm:{operation}", _keys(operation, params)
    if operation == "SendCommand":
        return _send_command(call, params, action)
    if "ResourceType" in params:
        kind, name = _TAGGED[params["ResourceType"]], params["ResourceId"]
        arn = parameter_arn(call, name) if kind == "parameter" else _arn(call, f"{kind}/{name}")
        return [Check(action, arn, keys)]
    if operation not in _ON_PARAMETERS:
        return [Check(action, "*", keys)]
    names = params.get("Names") or [params[member] for member in ("Name", "Path") if member in params]
    found = [Check(action, parameter_arn(call, name), keys) for name in names]
    if operation == "PutParameter" and params.get("Tags"):
        found += [Check("ssm:AddTagsToResource", check.resource, request_tags(params["Tags"])) for check in found]
    return found


def _keys(operation: str, params: Request) -> dict[str, Value]:
    keys = request_tags(params.get("Tags")) | tag_keys(params.get("TagKeys"))
    if operation == "GetParametersByPath":
        keys["ssm:recursive"] = bool_text(params.get("Recursive", False))
    if operation == "PutParameter":
        keys["ssm:overwrite"] = bool_text(params.get("Overwrite", False))
    return keys


def _send_command(call: Call, params: Request, action: str) -> list[Check]:
    """On the document, and on each instance; where tags choose the instances, on any that has the tag.

    And on the bucket for the output, and on the role that is handed over for notifications.
    """
    document = params["DocumentName"]
    if not document.startswith("arn:"):
        owner = "" if document.startswith(_AWS_DOCUMENT) else call.account_id
        document = arns.make("ssm", call.region, owner, f"document/{document}")
    found = [Check(action, document)]
    if params.get("OutputS3BucketName"):
        found.append(Check(action, arns.make("s3", "", "", params["OutputS3BucketName"])))
    if params.get("ServiceRoleArn"):
        found.append(passing(params["ServiceRoleArn"], _PRINCIPAL))
    targets = params.get("Targets") or ()
    named = [*(params.get("InstanceIds") or ())]
    for target in targets:
        if target.get("Key", "").lower() == "instanceids":
            named += target.get("Values", [])
    if named:
        return found + [Check(action, _instance(call, instance_id)) for instance_id in named]
    tags: list[dict[str, Value]] = [{}]
    for target in targets:
        if target.get("Key", "").startswith("tag:"):
            key = target["Key"].removeprefix("tag:")
            tags = [
                {**known, f"ssm:resourcetag/{key}": value, f"aws:resourcetag/{key}": value}
                for known in tags
                for value in target.get("Values", [])
            ]
    return found + [Check(action, _instance(call, "*"), keys) for keys in tags]


def parameter_arn(call: Call, name: str) -> str:
    """The ARN of a parameter that is named so, or by an ARN, perhaps with a version. AWS's own have no account."""
    resource = arns.parse(name).resource if name.count(":") >= 5 and name.startswith("arn:") else f"parameter/{name}"
    path = resource.removeprefix("parameter").partition(":")[0].replace("//", "/").rstrip("/")
    owner = "" if f"{path}/".lower().startswith(_PUBLIC) else call.account_id
    return arns.make("ssm", call.region, owner, f"parameter{path or '/'}")


def _instance(call: Call, instance_id: str) -> str:
    return arns.make("ec2", call.region, call.account_id, f"instance/{instance_id}")


def _arn(call: Call, resource: str) -> str:
    return arns.make("ssm", call.region, call.account_id, resource)
