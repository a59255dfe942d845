"""GetCommandInvocation, ListCommands, ListCommandInvocations: what has become of commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ssm import errors, shell_script
from sagehound.localcloud.services.ssm.command_table import CommandTable
from sagehound.localcloud.services.ssm.output import of_plugin
from sagehound.localcloud.services.ssm.paging import page
from sagehound.localcloud.services.ssm.sending import shown
from sagehound.localcloud.services.ssm.upload import Upload

Record = dict[str, Any]
_PAGE = 50
_COPIED = ("CommandId", "InstanceId", "Comment", "DocumentName", "DocumentVersion", "Status", "StatusDetails")
_LISTED = (*_COPIED, "InstanceName", "RequestedDateTime")
_PLUGIN_STATUS = {"Cancelling": "InProgress"}


class History:
    """What reads the records."""

    def __init__(self, table: CommandTable, upload: Upload) -> None:
        self._table = table
        self._upload = upload

    def GetCommandInvocation(self, call: Call, request: Request) -> Response:
        """One command on one instance, its output once it has ended."""
        if request.get("PluginName", shell_script.PLUGIN) not in (shell_script.PLUGIN, shell_script.STEP):
            raise AwsError("InvalidPluginName", f"The plugin name is not valid: {shell_script.DOCUMENT} has none such.")
        invocation = self._table.invocation(call.region, request["CommandId"], request["InstanceId"])
        command = self._table.command(call.region, request["CommandId"])
        started, finished = invocation.get("Started"), invocation.get("Finished")
        return {
            **{member: invocation[member] for member in _COPIED},
            "PluginName": shell_script.PLUGIN,
            "ResponseCode": invocation["ResponseCode"],
            "ExecutionStartDateTime": _text(started),
            "ExecutionElapsedTime": _duration(started, finished),
            "ExecutionEndDateTime": _text(finished),
            "StandardOutputContent": invocation["StandardOutputContent"],
            "StandardErrorContent": invocation["StandardErrorContent"],
            **self._upload.urls(command, invocation["InstanceId"]),
            "CloudWatchOutputConfig": command["CloudWatchOutputConfig"],
        }

    def ListCommands(self, call: Call, request: Request) -> Response:
        """Commands, newest first: all, one, or those of an instance."""
        found = []
        for command in self._commands(call.region, request):
            if "InstanceId" not in request or request["InstanceId"] in command["instances"]:
                found.append(shown(command, self._table.invocations(command)))
        return page(_filtered(found, request), request, "Commands", _Newest.of, _PAGE)

    def ListCommandInvocations(self, call: Call, request: Request) -> Response:
        """Commands by instance, newest first; with Details what the script has written."""
        found = []
        for command in self._commands(call.region, request):
            for invocation in self._table.invocations(command):
                if request.get("InstanceId", invocation["InstanceId"]) == invocation["InstanceId"]:
                    found.append(self._listed(command, invocation, details=request.get("Details", False)))
        return page(_filtered(found, request), request, "CommandInvocations", _Newest.of, _PAGE)

    def _commands(self, region: str, request: Request) -> Sequence[Record]:
        if "CommandId" in request:
            return [self._table.command(region, request["CommandId"])]
        return self._table.commands(region)

    def _listed(self, command: Record, invocation: Record, *, details: bool) -> Record:
        urls = self._upload.urls(command, invocation["InstanceId"])
        return {
            **{member: invocation[member] for member in _LISTED},
            "TraceOutput": "",
            **urls,
            "CommandPlugins": [_plugin(command, invocation, urls)] if details else [],
            "ServiceRole": command["ServiceRole"],
            "CloudWatchOutputConfig": command["CloudWatchOutputConfig"],
        }


def _plugin(command: Record, invocation: Record, urls: Record) -> Record:
    times = {"ResponseStartDateTime": "Started", "ResponseFinishDateTime": "Finished"}
    return {
        "Name": shell_script.PLUGIN,
        "Status": _PLUGIN_STATUS.get(invocation["Status"], invocation["Status"]),
        "StatusDetails": invocation["StatusDetails"],
        "ResponseCode": invocation["ResponseCode"],
        **{member: invocation[own] for member, own in times.items() if own in invocation},
        "Output": of_plugin(invocation["StandardOutputContent"], invocation["StandardErrorContent"]),
        **urls,
        "OutputS3Region": command.get("OutputS3Region", ""),
        "OutputS3BucketName": command["OutputS3BucketName"],
        "OutputS3KeyPrefix": command["OutputS3KeyPrefix"],
    }


class _Newest:
    """The order of the listings as a text that pages compare: later requests first."""

    @staticmethod
    def of(record: Record) -> str:
        """Smaller for later requests; the ids tell those of one moment apart."""
        moment = 10**14 - int(record["RequestedDateTime"].timestamp() * 1000)
        return f"{moment:015}:{record['CommandId']}:{record.get('InstanceId', '')}"


def _filtered(records: list[Record], request: Request) -> list[Record]:
    for given in request.get("Filters", ()):
        key, value = given["key"], given["value"]
        if key == "Status":
            records = [record for record in records if value in (record["Status"], record["StatusDetails"])]
        elif key == "DocumentName":
            records = [record for record in records if record["DocumentName"] == value]
        elif key in ("InvokedAfter", "InvokedBefore"):
            moment, is_after = _moment(value), key == "InvokedAfter"
            records = [
                record
                for record in records
                if (record["RequestedDateTime"] > moment if is_after else record["RequestedDateTime"] < moment)
            ]
        else:
            valid = ("InvokedAfter", "InvokedBefore", "Status", "DocumentName")
            raise errors.invalid_filter_key(key, valid)
    return sorted(records, key=_Newest.of)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise AwsError("InvalidFilterKey", f"{text} is no time: it is written as 2024-07-07T00:00:00Z.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _text(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z" if moment else ""


def _duration(started: datetime | None, finished: datetime | None) -> str:
    """`PT1H2M3.456S`."""
    if started is None or finished is None:
        return ""
    seconds = max(0.0, (finished - started).total_seconds())
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return (
        "PT"
        + (f"{hours}H" if hours else "")
        + (f"{minutes}M" if minutes else "")
        + f"{rest:.3f}".rstrip("0").rstrip(".")
        + "S"
    )
