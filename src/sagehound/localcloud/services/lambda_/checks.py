"""What CreateFunction and UpdateFunctionConfiguration refuse: beyond AWS's limits, or not really here."""

from __future__ import annotations

import re
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_ import environment
from sagehound.localcloud.services.lambda_.errors import constraint, invalid, unsupported
from sagehound.localcloud.services.lambda_.names import PRINCIPAL
from sagehound.localcloud.services.lambda_.needs import RoleTrust

MAX_NAME = 64
MAX_MEMORY = 10240
MAX_TIMEOUT = 900
MAX_EPHEMERAL_STORAGE = 10240
MAX_TAGS = 50
_PYTHON = re.compile(r"python3\.\d+")
_NOT_HERE = {
    "FileSystemConfigs": "FileSystemConfigs (EFS)",
    "ImageConfig": "container images (PackageType Image)",
    "KMSKeyArn": "KMSKeyArn (encryption of the environment with a key of KMS)",
    "CodeSigningConfigArn": "code signing",
    "TenancyConfig": "TenancyConfig",
    "CapacityProviderConfig": "capacity providers",
    "DurableConfig": "durable executions",
    "RuntimeConfig": "RuntimeConfig",
    "AcceleratorConfig": "AcceleratorConfig",
    "PublishTo": "PublishTo",
}


def check_new(request: dict[str, Any]) -> None:
    """A CreateFunction request, but for its name, role, layers and code."""
    if request.get("PackageType", "Zip") != "Zip":
        raise unsupported("container images (PackageType Image): no container runs on this machine")
    if "Runtime" not in request or "Handler" not in request:
        raise invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    check_configuration(request)
    check_tags(request.get("Tags", {}))


def check_configuration(request: dict[str, Any]) -> None:
    """The members that both operations have."""
    for member, what in _NOT_HERE.items():
        if request.get(member):
            raise unsupported(what)
    if "Runtime" in request:
        _check_runtime(request["Runtime"])
    _check_sizes(request)
    environment.check(request.get("Environment"))
    vpc = request.get("VpcConfig", {})
    if vpc.get("SubnetIds") or vpc.get("SecurityGroupIds"):
        raise unsupported("VpcConfig (a network of their own)")
    if request.get("DeadLetterConfig", {}).get("TargetArn"):
        raise unsupported(
            "DeadLetterConfig (there is no SQS and no SNS; name a function as the on-failure destination instead)"
        )
    if request.get("SnapStart", {}).get("ApplyOn", "None") != "None":
        raise unsupported("SnapStart")
    _check_logging(request.get("LoggingConfig", {}))


def check_role(roles: RoleTrust, role_arn: str) -> None:
    """Refuse a role that is not there, or that does not trust Lambda."""
    try:
        roles.role_trust(role_arn, PRINCIPAL)
    except AwsError as reason:
        raise invalid("The role defined for the function cannot be assumed by Lambda.") from reason


def check_tags(tags: dict[str, str]) -> None:
    """Tags of a new function, or all tags that it would have."""
    if len(tags) > MAX_TAGS:
        raise invalid("Number of tags exceeds resource tag limit.")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise invalid("System tags cannot be added/updated by requester")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise invalid("Tag keys have 1 to 128 characters, and tag values at most 256.")


def _check_runtime(runtime: str) -> None:
    if not _PYTHON.fullmatch(runtime):
        raise invalid(
            f"The local cloud runs functions in Python only: {runtime} at 'runtime' is none of python3.x. "
            "(It has AWS's runtime interface client for Python, and no other.)"
        )


def _check_sizes(request: dict[str, Any]) -> None:
    if request.get("MemorySize", 0) > MAX_MEMORY:
        rule = f"Member must have value less than or equal to {MAX_MEMORY}"
        raise invalid(f"'MemorySize' value failed to satisfy constraint: {rule}")
    timeout = request.get("Timeout", 0)
    if timeout > MAX_TIMEOUT:
        raise constraint(timeout, "timeout", f"Member must have value less than or equal to {MAX_TIMEOUT}")
    size = request.get("EphemeralStorage", {}).get("Size", 0)
    if size > MAX_EPHEMERAL_STORAGE:
        rule = f"Member must have value less than or equal to {MAX_EPHEMERAL_STORAGE}"
        raise constraint(size, "ephemeralStorage.size", rule)


def _check_logging(logging: dict[str, str]) -> None:
    if logging.get("LogFormat", "Text") != "Text":
        raise unsupported("LoggingConfig.LogFormat JSON (log lines are text)")
    if "ApplicationLogLevel" in logging or "SystemLogLevel" in logging:
        raise invalid("LogLevel is only supported when LogFormat is set to JSON.")
