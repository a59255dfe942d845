"""The configuration of a version: made from a request, changed by one, told to whoever asks."""

from __future__ import annotations

import hashlib
from typing import Any

from sagehound.localcloud.services.lambda_ import names, status
from sagehound.localcloud.services.lambda_.code import Package
from sagehound.localcloud.state.store import dumps

Record = dict[str, Any]

DEFAULTS: Record = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "EphemeralStorage": {"Size": 512},
    "TracingConfig": {"Mode": "PassThrough"},
}
_CONFIGURABLE = ("Role", "Handler", "Runtime", "Environment", *DEFAULTS)
_PUBLISHED = (*_CONFIGURABLE, "Layers", "LoggingConfig", "Architectures", "CodeSha256")
"""What makes two versions different."""


def new(request: Record, name: str, arn: str, package: Package, layers: list[Record], now: str) -> Record:
    """$LATEST of a function that is being created."""
    record: Record = {
        "FunctionName": name,
        "FunctionArn": arn,
        "Version": names.LATEST,
        **{member: request.get(member, value) for member, value in DEFAULTS.items()},
        **{member: request[member] for member in ("Role", "Handler", "Runtime", "Environment") if member in request},
        "PackageType": "Zip",
        "Architectures": request.get("Architectures", ["x86_64"]),
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}", **request.get("LoggingConfig", {})},
        "LastModified": now,
        **with_package(package),
    }
    return status.begin_creation(with_layers(record, layers))


def with_package(package: Package) -> Record:
    """The members that say what code a version of a function or a layer has."""
    return {
        "CodeSha256": package.CodeSha256,
        "CodeSize": package.CodeSize,
        "UnzippedSize": package.UnzippedSize,
    }


def packages(record: Record) -> list[str]:
    """The digests of a version's own package and of its layers, in their order."""
    return [record["CodeSha256"], *(layer["CodeSha256"] for layer in record.get("Layers", []))]


def with_layers(record: Record, layers: list[Record]) -> Record:
    """The record with other layers; none of them is no member, as AWS tells it."""
    without = {member: value for member, value in record.items() if member != "Layers"}
    return {**without, "Layers": layers} if layers else without


def changed(record: Record, request: Record) -> Record:
    """$LATEST as UpdateFunctionConfiguration wants it, but for its layers."""
    found = {**record, **{member: request[member] for member in _CONFIGURABLE if member in request}}
    if "LoggingConfig" in request:
        found["LoggingConfig"] = {**record["LoggingConfig"], **request["LoggingConfig"]}
    return found


def digest(record: Record) -> str:
    """The same for two versions that would run the same: PublishVersion makes no second one of them."""
    told = {member: record.get(member) for member in _PUBLISHED}
    return hashlib.sha256(dumps(told).encode()).hexdigest()


def told(record: Record, arn: str) -> Record:
    """The FunctionConfiguration of an answer, under the ARN by which it was asked for."""
    return {**record, "FunctionArn": arn}


def listed(record: Record, arn: str) -> Record:
    """The FunctionConfiguration of a list, which leaves out how the function is doing."""
    doing = ("State", "StateReason", "StateReasonCode", "LastUpdateStatus")
    more = ("LastUpdateStatusReason", "LastUpdateStatusReasonCode")
    return {member: value for member, value in told(record, arn).items() if member not in (*doing, *more)}
