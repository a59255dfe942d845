"""SageMaker and SageMaker Runtime: which permissions an operation needs, and the condition keys of its request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagehound.localcloud.authorization.check import Check, Value, bool_text, passing, request_tags, tag_keys
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

PRINCIPAL = "sagemaker.amazonaws.com"
_NAMED = (
    ("TrainingJobName", "training-job"),
    ("HyperParameterTuningJobName", "hyper-parameter-tuning-job"),
    ("ModelName", "model"),
    ("EndpointName", "endpoint"),
    ("EndpointConfigName", "endpoint-config"),
    ("NotebookInstanceName", "notebook-instance"),
    ("NotebookInstanceLifecycleConfigName", "notebook-instance-lifecycle-config"),
)
"""Members that name a resource. CreateEndpoint and UpdateEndpoint name two, and need both."""
_LISTS = (
    (("ResourceConfig", "VolumeKmsKeyId"), "volumekmskey"),
    (("HyperParameterTuningResourceConfig", "VolumeKmsKeyId"), "volumekmskey"),
    (("KmsKeyId",), "volumekmskey"),
    (("OutputDataConfig", "KmsKeyId"), "outputkmskey"),
    (("VpcConfig", "Subnets"), "vpcsubnets"),
    (("SubnetId",), "vpcsubnets"),
    (("SecurityGroupIds",), "vpcsecuritygroupids"),
    (("AcceleratorTypes",), "acceleratortypes"),
    (("VpcConfig", "SecurityGroupIds"), "vpcsecuritygroupids"),
)
_TEXTS = (
    (("DirectInternetAccess",), "directinternetaccess"),
    (("RootAccess",), "rootaccess"),
    (
        ("InstanceMetadataServiceConfiguration", "MinimumInstanceMetadataServiceVersion"),
        "minimuminstancemetadataserviceversion",
    ),
)
_MAX_RUNTIME = ("StoppingCondition", "MaxRuntimeInSeconds")
_SWITCHES = (
    ("EnableNetworkIsolation", "networkisolation"),
    ("EnableInterContainerTrafficEncryption", "intercontainertrafficencryption"),
)
"""On where they are on in every job that the request defines."""


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of SageMaker needs."""
    operation, keys = call.operation, _keys(call, params)
    action = f"sagemaker:{operation}"
    found = [Check(action, _arn(call, f"{kind}/{params[member]}"), keys) for member, kind in _NAMED if member in params]
    if "ResourceArn" in params:
        found.append(Check(action, params["ResourceArn"], keys))
    if not found:
        found.append(Check(action, "*", keys))
    if params.get("Tags") and operation.startswith("Create"):
        tagging = {**request_tags(params["Tags"]), "sagemaker:taggingaction": operation}
        found.append(Check("sagemaker:AddTags", found[0].resource, tagging))
    found.extend(passing(role, PRINCIPAL) for role in _roles(params))
    return found


def runtime_checks(call: Call, params: Request) -> list[Check]:
    """The permission to invoke an endpoint."""
    keys: dict[str, Value] = {}
    for member in ("TargetVariant", "TargetModel"):
        if member in params:
            keys[f"sagemaker:{member.lower()}"] = params[member]
    arn = _arn(call, f"endpoint/{params['EndpointName']}")
    return [Check(f"sagemaker:{call.operation}", arn, keys)]


def _definitions(params: Request) -> Iterator[dict[str, Any]]:
    """The request and the training jobs that a tuning job defines: each has a role, resources and limits."""
    yield params
    if "TrainingJobDefinition" in params:
        yield params["TrainingJobDefinition"]
    yield from params.get("TrainingJobDefinitions", ())


def _roles(params: Request) -> list[str]:
    """The roles that the request hands to SageMaker, each once."""
    found = [
        definition[member]
        for definition in _definitions(params)
        for member in ("RoleArn", "ExecutionRoleArn")
        if member in definition
    ]
    return list(dict.fromkeys(found))


def _keys(call: Call, params: Request) -> dict[str, Value]:
    keys: dict[str, Value] = request_tags(params.get("Tags")) | tag_keys(params.get("TagKeys"))
    if not call.operation.startswith(("Create", "Update")):
        return keys
    variants = [*params.get("ProductionVariants", ()), *params.get("ShadowProductionVariants", ())]
    definitions = [*_definitions(params), *variants]
    if types := [name for definition in definitions for name in _instance_types(definition)]:
        keys["sagemaker:instancetypes"] = _once(types)
    if models := [variant["ModelName"] for variant in variants if "ModelName" in variant]:
        keys["sagemaker:modelarn"] = _once([_arn(call, f"model/{name}") for name in models])
    for path, key in _LISTS:
        if values := [value for definition in definitions for value in _values(definition, path)]:
            keys[f"sagemaker:{key}"] = _once([*keys.get(f"sagemaker:{key}", ()), *values])
    runtimes = [value for definition in definitions for value in _values(definition, _MAX_RUNTIME)]
    if runtimes:
        keys["sagemaker:maxruntimeinseconds"] = str(max(runtimes))
    for path, key in _TEXTS:
        if values := _values(params, path):
            keys[f"sagemaker:{key}"] = str(values[0])
    for member, key in _SWITCHES:
        if any(member in definition for definition in definitions):
            jobs = [definition for definition in _definitions(params) if _is_job(definition)] or [params]
            keys[f"sagemaker:{key}"] = bool_text(all(definition.get(member, False) for definition in jobs))
    return keys


def _is_job(definition: dict[str, Any]) -> bool:
    """A tuning job's own request is none: its definitions are."""
    return not {"TrainingJobDefinition", "TrainingJobDefinitions"} & definition.keys()


def _instance_types(definition: dict[str, Any]) -> list[str]:
    resources = [definition.get("ResourceConfig", {}), definition.get("HyperParameterTuningResourceConfig", {})]
    found = [definition]
    for resource in resources:
        found += [resource, *resource.get("InstanceGroups", ()), *resource.get("InstanceConfigs", ())]
    return [part["InstanceType"] for part in found if "InstanceType" in part]


def _values(definition: dict[str, Any], path: tuple[str, ...]) -> list[Any]:
    """What stands at a path of members, as a list."""
    value: Any = definition
    for member in path:
        value = value.get(member) if isinstance(value, dict) else None
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def _arn(call: Call, resource: str) -> str:
    return arns.make("sagemaker", call.region, call.account_id, resource)


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))
