"""SendCommand and CancelCommand."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.ssm import errors, shell_script
from sagehound.localcloud.services.ssm.command_status import summary
from sagehound.localcloud.services.ssm.command_table import CommandTable
from sagehound.localcloud.services.ssm.delivery import Delivery
from sagehound.localcloud.services.ssm.fleet import Fleet, is_tagged
from sagehound.localcloud.services.ssm.needs import Machine
from sagehound.localcloud.services.ssm.upload import Upload
from sagehound.localcloud.state.clock import Clock

Record = dict[str, Any]
_DELIVERY_SECONDS = 3600
_REFUSED = ("NotificationConfig", "AlarmConfiguration", "DocumentHash")
_OWN = ("region", "instances", "cancelled")


class Sending:
    """What begins and ends commands."""

    def __init__(
        self, table: CommandTable, clock: Clock, account_id: str, fleet: Fleet, delivery: Delivery, upload: Upload
    ) -> None:
        self._table = table
        self._clock = clock
        self._account_id = account_id
        self._fleet = fleet
        self._delivery = delivery
        self._upload = upload

    def SendCommand(self, call: Call, request: Request) -> Response:
        """Keep the command, answer, then run it on each of its instances."""
        shell_script.check_document(request["DocumentName"], call.region)
        if request.get("DocumentVersion", "$DEFAULT") not in ("$DEFAULT", "$LATEST", "1"):
            raise AwsError("InvalidDocumentVersion", "The document version is not valid or does not exist.")
        script = shell_script.parse(request.get("Parameters", {}))
        self._check_extras(request)
        machines = self._targets(call.region, request)
        command = self._command(call.region, request, machines, script.seconds)
        invocations = [_invocation(command, machine) for machine in machines]
        self._table.add(command, invocations)
        self._delivery.begin(command)
        return {"Command": shown(command, invocations)}

    def CancelCommand(self, call: Call, request: Request) -> Response:
        """Cancel it on all its instances, or on those that are named; what has ended stays as it is."""
        command = self._table.command(call.region, request["CommandId"])
        named = request.get("InstanceIds") or command["instances"]
        foreign = [instance_id for instance_id in named if instance_id not in command["instances"]]
        if foreign:
            raise errors.invalid_instances(foreign, self._account_id)
        if len(set(named)) < len(named):
            raise _duplicate()
        if named == command["instances"]:
            self._table.put({**command, "cancelled": True})
        self._delivery.cancel(command, named)
        return {}

    def _check_extras(self, request: Request) -> None:
        """What the local cloud would not do is refused rather than forgotten."""
        for member in _REFUSED:
            if request.get(member):
                raise validation(f"The local cloud does not do {member} of SendCommand.")
        if request.get("CloudWatchOutputConfig", {}).get("CloudWatchOutputEnabled"):
            raise validation("The local cloud sends no output of commands to CloudWatch Logs; name an S3 bucket.")
        if request.get("OutputS3BucketName"):
            self._upload.check(request["OutputS3BucketName"])

    def _targets(self, region: str, request: Request) -> list[Machine]:
        """The instances that are named, all of which must take commands, or those that match the targets."""
        named, targets = request.get("InstanceIds", []), request.get("Targets", [])
        if bool(named) == bool(targets):
            raise validation("Specify either InstanceIds or Targets.")
        if len(set(named)) < len(named):
            raise _duplicate()
        online = {machine.instance_id: machine for machine in self._fleet.online(region)}
        matching = list(online.values())
        for target in targets:
            key, values = target.get("Key", ""), target.get("Values", [])
            if not key or not values:
                raise validation("Each of Targets has a Key and at least one of Values.")  # or it would mean all
            if key.lower() == "instanceids":
                named = [*named, *values]
            elif key.startswith("tag:") or key == "tag-key":
                matching = [machine for machine in matching if is_tagged(machine.tags, key, values)]
            else:
                raise validation(f"The local cloud has no targets by {key}: InstanceIds, tag:KEY or tag-key.")
        invalid = [instance_id for instance_id in named if instance_id not in online]
        if invalid:
            raise errors.invalid_instances(invalid, self._account_id)
        return [machine for machine in matching if not named or machine.instance_id in named]

    def _command(self, region: str, request: Request, machines: list[Machine], seconds: int) -> Record:
        now = self._clock.now()
        timeout = request.get("TimeoutSeconds", _DELIVERY_SECONDS)
        bucket = request.get("OutputS3BucketName", "")
        return {
            "region": region,
            "instances": [machine.instance_id for machine in machines],
            "CommandId": str(uuid.uuid4()),
            "DocumentName": shell_script.DOCUMENT,
            "DocumentVersion": request.get("DocumentVersion", "$DEFAULT"),
            "Comment": request.get("Comment", ""),
            "ExpiresAfter": now + timedelta(seconds=timeout + seconds),
            "Parameters": request["Parameters"],
            "InstanceIds": request.get("InstanceIds", []),
            "Targets": request.get("Targets", []),
            "RequestedDateTime": now,
            "OutputS3BucketName": bucket,
            "OutputS3KeyPrefix": request.get("OutputS3KeyPrefix", ""),
            **({"OutputS3Region": request.get("OutputS3Region", region)} if bucket else {}),
            "MaxConcurrency": request.get("MaxConcurrency", "50"),
            "MaxErrors": request.get("MaxErrors", "0"),
            "TargetCount": len(machines),
            "ServiceRole": request.get("ServiceRoleArn", ""),
            "TimeoutSeconds": timeout,
            "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
        }


def shown(command: Record, invocations: list[Record]) -> Record:
    """A command as the answers have it."""
    members = {member: value for member, value in command.items() if member not in _OWN}
    return {**members, **summary(command, invocations)}


def _invocation(command: Record, machine: Machine) -> Record:
    copied = ("CommandId", "DocumentName", "DocumentVersion", "Comment", "RequestedDateTime")
    return {
        **{member: command[member] for member in copied},
        "InstanceId": machine.instance_id,
        "InstanceName": machine.tags.get("Name", ""),
        "Status": "Pending",
        "StatusDetails": "Pending",
        "ResponseCode": -1,
        "StandardOutputContent": "",
        "StandardErrorContent": "",
    }


def _duplicate() -> AwsError:
    return AwsError("DuplicateInstanceId", "You can't specify an instance ID in more than one association.")
