"""Lambda: which permissions an operation needs, and the condition keys of its request."""

from __future__ import annotations

import re
from typing import Any

from sagehound.localcloud.authorization.check import Check, Value, passing, request_tags, tag_keys
from sagehound.localcloud.authorization.s3 import object_arn
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

PRINCIPAL = "lambda.amazonaws.com"
_ACTIONS = {
    "GetLayerVersionByArn": "GetLayerVersion",
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
}
_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:[a-z]{2}(?:-[a-z]+)+-\d:)?(?:\d{12}:)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_-]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?"
)
"""As the model of FunctionName has it."""
_QUALIFIED = (
    "Invoke",
    "InvokeWithResponseStream",
    "GetProvisionedConcurrencyConfig",
    "PutProvisionedConcurrencyConfig",
    "DeleteProvisionedConcurrencyConfig",
)
"""Asked about the version or alias that is named; the others are about the function whatever is named."""
_CODE = {"CreateFunction": "Code", "UpdateFunctionCode": "", "PublishLayerVersion": "Content"}
"""The member in which an operation names code in S3; "" for the request itself."""
_WITHOUT_A_RESOURCE = ("ListLayers", "ListLayerVersions")


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of Lambda needs."""
    operation = call.operation
    action = f"lambda:{_ACTIONS.get(operation, operation)}"
    resource = _resource(call, params)
    keys = _keys(operation, params, resource)
    found = [Check(action, resource, keys)]
    if operation == "CreateFunction" and params.get("Tags"):
        found.append(Check("lambda:TagResource", resource, request_tags(params["Tags"])))
    if operation in ("CreateFunction", "UpdateFunctionConfiguration"):
        found += [Check("lambda:GetLayerVersion", layer) for layer in params.get("Layers", ())]
        if "Role" in params:
            found.append(passing(params["Role"], PRINCIPAL))
    if operation in _CODE:
        found += _reading(_code(operation, params))
    return found


def function_arn(call: Call, name: str, qualifier: str | None) -> str:
    """The ARN of what `name` means: a name, a partial ARN (ACCOUNT:function:NAME) or an ARN, each with a qualifier.

    Lambda refuses functions of other regions and accounts, whoever may call them.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return arns.make("lambda", call.region, call.account_id, f"function:{name}")
    named = qualifier or found["qualifier"]
    suffix = f":{named}" if named else ""
    return arns.make("lambda", call.region, call.account_id, f"function:{found['name']}{suffix}")


def _code(operation: str, params: Request) -> dict[str, Any]:
    member = _CODE[operation]
    return params.get(member, {}) if member else params


def _reading(code: dict[str, Any]) -> list[Check]:
    """Lambda fetches code from S3 as the caller."""
    if "S3Bucket" not in code or "S3Key" not in code:
        return []
    action = "s3:GetObjectVersion" if "S3ObjectVersion" in code else "s3:GetObject"
    return [Check(action, object_arn(code["S3Bucket"], code["S3Key"]))]


def _resource(call: Call, params: Request) -> str:
    operation = call.operation
    if operation in _WITHOUT_A_RESOURCE:
        return "*"
    if "FunctionName" in params:
        if operation in _QUALIFIED:
            return function_arn(call, params["FunctionName"], params.get("Qualifier"))
        whole = function_arn(call, params["FunctionName"], None)
        return ":".join(whole.split(":")[:7])
    if "LayerName" in params:
        name = params["LayerName"]
        layer = name if name.startswith("arn:") else arns.make("lambda", call.region, call.account_id, f"layer:{name}")
        return f"{layer}:{params['VersionNumber']}" if "VersionNumber" in params else layer
    for member in ("Resource", "Arn"):
        if member in params:
            return str(params[member])
    return "*"


def _keys(operation: str, params: Request, resource: str) -> dict[str, Value]:
    keys: dict[str, Value] = request_tags(params.get("Tags")) | tag_keys(params.get("TagKeys"))
    if "FunctionUrlConfig" in operation:
        keys["lambda:functionarn"] = resource
        if "AuthType" in params:
            keys["lambda:functionurlauthtype"] = params["AuthType"]
    if operation == "AddPermission":
        keys["lambda:principal"] = params["Principal"]
    if "FunctionUrlAuthType" in params:
        keys["lambda:functionurlauthtype"] = params["FunctionUrlAuthType"]
    if params.get("Layers"):
        keys["lambda:layer"] = list(params["Layers"])
    return keys
