"""What a request about notebook instances may not ask for: AWS's refusals, and what this cloud does not do, by name."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker.notebook_status import LIFECYCLE_CONFIG, NOTEBOOK, Record, unsupported
from sagehound.localcloud.services.sagemaker.providers import Providers

_NOT_HERE = (
    "SubnetId",
    "SecurityGroupIds",
    "KmsKeyId",
    "AcceleratorTypes",
    "DefaultCodeRepository",
    "AdditionalCodeRepositories",
)
_ONLY = {"DirectInternetAccess": "Enabled", "RootAccess": "Enabled", "IpAddressType": "ipv4"}
"""Of these members this cloud has one value."""
_RUNNING = ("Pending", "InService", "Stopping")


def check_request(request: dict[str, Any], region: str, providers: Providers) -> None:
    """Refuse what would have no effect here, and a lifecycle configuration that is not there."""
    for member in _NOT_HERE:
        if request.get(member):
            raise unsupported(member)
    for member, value in _ONLY.items():
        if request.get(member, value) != value:
            raise unsupported(f"{member} {request[member]}")
    config = request.get("LifecycleConfigName")
    if config is not None and providers.store.get(LIFECYCLE_CONFIG, region, config) is None:
        raise validation(f"Notebook Instance Lifecycle Config '{config}' does not exist.")


def check_quota(instance_type: str, region: str, providers: Providers) -> None:
    """ResourceLimitExceeded when the settings' quota of an instance type would be exceeded."""
    quota = f"{instance_type} for notebook instance usage"
    limit = providers.settings.quotas.get(quota)
    used = sum(
        one["InstanceType"] == instance_type and one["NotebookInstanceStatus"] in _RUNNING
        for one in providers.store.list(NOTEBOOK, region)
    )
    if limit is not None and used + 1 > limit:
        raise AwsError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{quota}' is {limit} Instances, with current utilization of {used} "
            "Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase for "
            "this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this "
            "quota.",
        )


def check_scripts(request: dict[str, Any]) -> None:
    """The scripts of a lifecycle configuration are base64 of something."""
    for member in ("OnCreate", "OnStart"):
        for one in request.get(member, []):
            try:
                content = base64.b64decode(one.get("Content", ""), validate=True)
            except binascii.Error:
                raise validation(f"The content of {member} is not valid base64.") from None
            if not content:
                raise validation(f"The content of {member} is empty.")


def changed(record: Record, request: dict[str, Any]) -> Record:
    """The record with what UpdateNotebookInstance asks for."""
    if request.get("VolumeSizeInGB", record["VolumeSizeInGB"]) < record["VolumeSizeInGB"]:
        raise validation(
            f"The volume of a notebook instance cannot get smaller: it has {record['VolumeSizeInGB']} GB, and "
            f"{request['VolumeSizeInGB']} GB are asked for."
        )
    if request.get("LifecycleConfigName") and request.get("DisassociateLifecycleConfig"):
        raise validation("LifecycleConfigName and DisassociateLifecycleConfig exclude each other.")
    same = ("InstanceType", "RoleArn", "VolumeSizeInGB", "PlatformIdentifier", "InstanceMetadataServiceConfiguration")
    after = {**record, **{member: request[member] for member in same if member in request}}
    if "LifecycleConfigName" in request:
        after["NotebookInstanceLifecycleConfigName"] = request["LifecycleConfigName"]
    if request.get("DisassociateLifecycleConfig"):
        after.pop("NotebookInstanceLifecycleConfigName", None)
    return after
