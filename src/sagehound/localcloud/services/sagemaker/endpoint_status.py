"""The life of an endpoint as data, and the pieces of its record that Describe shows."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.lifecycle import Lifecycle

Record = dict[str, Any]

ENDPOINT = "sagemaker:endpoint"
ENDPOINT_CONFIG = "sagemaker:endpoint-config"
MODEL = "sagemaker:model"
INSTANCE = "sagemaker:endpoint-instance"

ENDPOINT_STATUS = Lifecycle(
    "EndpointStatus",
    {
        "Creating": {"InService", "Failed"},
        "InService": {"Updating", "SystemUpdating", "Deleting"},
        "Updating": {"InService", "RollingBack"},
        "SystemUpdating": {"InService"},
        "RollingBack": {"InService", "UpdateRollbackFailed"},
        "UpdateRollbackFailed": {"Updating", "Deleting"},
        "Failed": {"Deleting"},
        "OutOfService": {"Updating", "Deleting"},
        "Deleting": set(),
    },
)
ANSWERING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
"""The statuses in which InvokeEndpoint is served."""

_NOUNS = {"model": "model", "endpoint-config": "endpoint configuration", "endpoint": "endpoint"}


def arn(region: str, account_id: str, kind: str, name: str) -> str:
    """The ARN of a model, endpoint-config or endpoint."""
    return arns.make("sagemaker", region, account_id, f"{kind}/{name}")


def not_found(region: str, account_id: str, kind: str, name: str) -> AwsError:
    """AWS's answer for a name that does not exist."""
    return validation(f'Could not find {_NOUNS[kind]} "{arn(region, account_id, kind, name)}".')


def taken(region: str, account_id: str, kind: str, name: str) -> AwsError:
    """AWS's answer for a name that is in use."""
    return validation(f'Cannot create already existing {_NOUNS[kind]} "{arn(region, account_id, kind, name)}".')


def in_progress(record: Record) -> AwsError:
    """AWS's answer to a change of an endpoint that is changing already, or that can only be deleted."""
    if record["EndpointStatus"] == "Failed":
        return validation(f'Cannot update endpoint "{record["EndpointArn"]}" because it is in Failed status.')
    return validation(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')


def unsupported(what: str) -> AwsError:
    """What this cloud does not really do is refused by name, never ignored."""
    return AwsError("NotImplemented", f"The local cloud's endpoints do not have {what}.", 501)


def variant_id(record: Record, variant: Record) -> str:
    """What Application Auto Scaling calls a variant of an endpoint."""
    return f"endpoint/{record['EndpointName']}/variant/{variant['VariantName']}"


def is_serverless(variant: Record) -> bool:
    """Whether a variant has no instances of its own."""
    return "ServerlessConfig" in variant


def variant_summary(variant: Record, current_count: int) -> Record:
    """One ProductionVariantSummary: a variant of a deployment, and how many instances of it are in service."""
    config = variant.get("ServerlessConfig")
    if config is None:
        size = {"CurrentInstanceCount": current_count, "DesiredInstanceCount": variant["InstanceCount"]}
    else:
        size = {"CurrentInstanceCount": 0, "CurrentServerlessConfig": config, "DesiredServerlessConfig": config}
    return {
        "VariantName": variant["VariantName"],
        "DeployedImages": [
            {
                "SpecifiedImage": variant["Image"],
                "ResolvedImage": variant["Image"],
                "ResolutionTime": variant["ResolutionTime"],
            }
        ],
        "CurrentWeight": variant["Weight"],
        "DesiredWeight": variant.get("DesiredWeight", variant["Weight"]),
        **size,
    }
