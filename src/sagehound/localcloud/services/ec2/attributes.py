"""Attributes of instances, described and modified: type, user data, protections, metadata options, credits."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, instance_types, launch_checks, selection, states
from sagehound.localcloud.services.ec2.presentation import Presentation, mappings
from sagehound.localcloud.services.ec2.security_groups import GroupTable
from sagehound.localcloud.services.ec2.table import InstanceTable

Record = dict[str, Any]
_SWITCHES = {
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
    "ebsOptimized": "EbsOptimized",
    "sourceDestCheck": "SourceDestCheck",
    "enaSupport": "EnaSupport",
}
_TEXTS = {
    "instanceType": "InstanceType",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "rootDeviceName": "RootDeviceName",
}
_CHANGED = {
    "instanceType": "InstanceType",
    "userData": "UserData",
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "ebsOptimized": "EbsOptimized",
    "sourceDestCheck": "SourceDestCheck",
    "groupSet": "Groups",
}
_STOPPED = ("InstanceType", "UserData", "EbsOptimized")
"""What only a stopped instance may change."""


class Attributes:
    """The operations."""

    def __init__(self, table: InstanceTable, groups: GroupTable, presentation: Presentation) -> None:
        self._table = table
        self._groups = groups
        self._presentation = presentation

    def DescribeInstanceAttribute(self, call: Call, request: Request) -> Response:
        """One attribute of an instance."""
        record = self._table.get(call.region, request["InstanceId"])
        call.resource = self._table.arn(record)
        name = request["Attribute"]
        answer: Response = {"InstanceId": record["InstanceId"]}
        if name in _SWITCHES:
            answer[_SWITCHES[name]] = {"Value": bool(record[_SWITCHES[name]])}
        elif name in _TEXTS:
            answer[_TEXTS[name]] = {"Value": record[_TEXTS[name]]}
        elif name == "userData":
            given = record.get("UserData")
            answer["UserData"] = {} if given is None else {"Value": base64.b64encode(given).decode()}
        elif name == "blockDeviceMapping":
            answer["BlockDeviceMappings"] = mappings(record)
        elif name == "groupSet":
            answer["Groups"] = self._presentation.groups(record)
        elif name in ("kernel", "ramdisk", "sriovNetSupport"):
            answer[{"kernel": "KernelId", "ramdisk": "RamdiskId"}.get(name, "SriovNetSupport")] = {}
        elif name == "productCodes":
            answer["ProductCodes"] = []
        elif name == "enclaveOptions":
            answer["EnclaveOptions"] = record["EnclaveOptions"]
        else:
            raise errors.invalid(name, "attribute", "Unknown attribute.")
        return answer

    def ModifyInstanceAttribute(self, call: Call, request: Request) -> Response:
        """Change one attribute; the type and user data of a stopped instance only."""
        record = self._table.get(call.region, request["InstanceId"])
        call.resource = self._table.arn(record)
        member, value = _asked(request)
        if member in _STOPPED and record["InstanceState"] != "stopped":
            raise errors.wrong_state(record["InstanceId"], "in the 'stopped' state")
        if record["InstanceState"] in states.GONE:
            raise errors.wrong_state(record["InstanceId"], "in a state in which it can be changed")
        changes: dict[str, Callable[[Record, Any], Record]] = {
            "InstanceType": _with_type,
            "UserData": _with_user_data,
            "InstanceInitiatedShutdownBehavior": _with_shutdown_behavior,
            "Groups": self._with_groups,
        }
        change = changes.get(member)
        self._table.put(change(record, value) if change else {**record, member: _boolean(value)})
        return {}

    def ModifyInstanceMetadataOptions(self, call: Call, request: Request) -> Response:
        """The metadata service's options, from its next request on."""
        record = self._table.get(call.region, request["InstanceId"])
        call.resource = self._table.arn(record)
        if record["InstanceState"] in states.GONE:
            raise errors.wrong_state(record["InstanceId"], "in a state in which it can be changed")
        given = {name: value for name, value in request.items() if name not in ("InstanceId", "DryRun")}
        options = launch_checks.metadata_options(given, record["MetadataOptions"])
        self._table.put({**record, "MetadataOptions": options})
        return {"InstanceId": record["InstanceId"], "InstanceMetadataOptions": options}

    def DescribeInstanceCreditSpecifications(self, call: Call, request: Request) -> Response:
        """Of burstable types: kept as it was asked for; this machine gives no credits and takes none."""
        wanted = request.get("InstanceIds")
        records = self._table.named(call.region, wanted) if wanted else self._table.all(call.region)
        if wanted:
            for record in records:
                if "CpuCredits" not in record:
                    message = f"The instance '{record['InstanceId']}' is not a burstable performance instance."
                    raise AwsError("InvalidInstanceCreditSpecification.UnsupportedInstance", message)
        found = [
            {"InstanceId": record["InstanceId"], "CpuCredits": record["CpuCredits"]}
            for record in records
            if "CpuCredits" in record and record["InstanceState"] != "terminated"
        ]
        chosen = selection.select(found, request.get("Filters", ()), {"instance-id": "InstanceId"})
        shown, token = selection.page(chosen, request, lambda item: str(item["InstanceId"]))
        return {"InstanceCreditSpecifications": shown, **token}

    def _with_groups(self, record: Record, value: Any) -> Record:
        found = [self._groups.get(record["Region"], group_id)["GroupId"] for group_id in value]
        if not found:
            raise errors.missing("groupId")
        return {**record, "GroupIds": list(dict.fromkeys(found))}


def _asked(request: Request) -> tuple[str, Any]:
    """The attribute that a request changes, by its member of the record, and the value."""
    if "Attribute" in request:
        name = request["Attribute"]
        if name not in _CHANGED:
            raise errors.unsupported(f"changing the attribute {name} of an instance")
        if name == "groupSet":
            return "Groups", request.get("Groups", [])
        if "Value" not in request:
            raise errors.missing("value")
        text = request["Value"]
        if name == "userData":
            return "UserData", launch_checks.user_data(text) or b""
        return _CHANGED[name], text
    given = [name for name in request if name not in ("InstanceId", "DryRun", "Value")]
    if not given:
        raise errors.combination("No attributes specified.")
    if len(given) > 1:
        raise errors.combination("Fields for multiple attribute types specified")
    member = given[0]
    if member not in _CHANGED.values():
        raise errors.unsupported(f"changing {member} of an instance")
    value = request[member]
    return member, value.get("Value", "") if isinstance(value, dict) else value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise errors.invalid(value, "value", "Expecting true or false.")
    return str(value).lower() == "true"


def _with_type(record: Record, value: Any) -> Record:
    kind = instance_types.known(str(value))
    launch_checks.instance_type({"InstanceType": str(value)}, record["Architecture"])
    cpu = kind["VCpuInfo"]
    changed = {
        **record,
        "InstanceType": kind["InstanceType"],
        "CpuOptions": {"CoreCount": cpu["DefaultCores"], "ThreadsPerCore": cpu["DefaultThreadsPerCore"]},
    }
    changed.pop("CpuCredits", None)
    if kind["BurstablePerformanceSupported"]:
        changed["CpuCredits"] = "standard" if str(value).startswith("t2.") else "unlimited"
    return changed


def _with_user_data(record: Record, value: Any) -> Record:
    if len(value) > launch_checks.USER_DATA_LIMIT:
        raise AwsError("InvalidParameterValue", f"User data is limited to {launch_checks.USER_DATA_LIMIT} bytes")
    changed = {**record, "UserData": bytes(value)}
    if not value:
        del changed["UserData"]
    return changed


def _with_shutdown_behavior(record: Record, value: Any) -> Record:
    if value not in ("stop", "terminate"):
        raise errors.invalid(value, "instanceInitiatedShutdownBehavior", "Valid values: stop, terminate.")
    return {**record, "InstanceInitiatedShutdownBehavior": value}
