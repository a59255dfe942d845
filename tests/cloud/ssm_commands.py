"""Instances that take commands, and commands that are sent and looked at."""

from __future__ import annotations

import json
import uuid
from typing import Any

import psutil

from tests.cloud.ec2_instances import Machines
from tests.cloud_process import CloudProcess
from tests.waiting import command_line, wait_for

CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
DOCUMENT = "AWS-RunShellScript"
ENDED = ("Success", "Failed", "TimedOut", "Cancelled")
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


class Managed(Machines):
    """Machines with a profile whose role Systems Manager takes commands for."""

    def __init__(self, cloud: CloudProcess, region: str = "us-east-1") -> None:
        super().__init__(cloud, region)
        self.iam = cloud.client("iam")
        self.role = self.profile = f"managed-{uuid.uuid4().hex[:8]}"
        self.iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=TRUST)
        self.iam.attach_role_policy(RoleName=self.role, PolicyArn=CORE)
        self.iam.create_instance_profile(InstanceProfileName=self.profile)
        self.iam.add_role_to_instance_profile(InstanceProfileName=self.profile, RoleName=self.role)

    @property
    def ssm(self) -> Any:
        return self.cloud.client("ssm", region_name=self.region)

    def up(self, **tags: str) -> str:
        """The id of a running instance."""
        given = [{"Key": key, "Value": value} for key, value in tags.items()]
        tagged = {"TagSpecifications": [{"ResourceType": "instance", "Tags": given}]} if tags else {}
        instance_id = str(self.run(IamInstanceProfile={"Name": self.profile}, **tagged)["InstanceId"])
        self.wait(instance_id, "running")
        return instance_id

    def send(self, *commands: str, **request: Any) -> str:
        """The id of a command; `parameters` are the document's beside its commands."""
        parameters = {"commands": list(commands), **request.pop("parameters", {})}
        sent = self.ssm.send_command(DocumentName=DOCUMENT, Parameters=parameters, **request)
        return str(sent["Command"]["CommandId"])

    def invocation(self, command_id: str, instance_id: str) -> dict[str, Any]:
        """As it is now."""
        return dict(self.ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id))

    def end(self, command_id: str, instance_id: str) -> dict[str, Any]:
        """The invocation once it has ended."""
        return dict(wait_for(lambda: self._ended(command_id, instance_id), f"the end of {command_id}"))

    def sh(self, instance_id: str, *commands: str, **request: Any) -> dict[str, Any]:
        """Run commands to their end."""
        return self.end(self.send(*commands, InstanceIds=[instance_id], **request), instance_id)

    def command(self, command_id: str) -> dict[str, Any]:
        """The whole command as it is now."""
        return dict(self.ssm.list_commands(CommandId=command_id)["Commands"][0])

    def turns(self, command_id: str, *instance_ids: str) -> list[str]:
        """The instances of a command that runs on one at a time, that one first."""
        ordered = sorted(instance_ids, key=lambda found: self.invocation(command_id, found)["Status"] != "InProgress")
        states = [self.invocation(command_id, instance_id)["Status"] for instance_id in ordered]
        assert states == ["InProgress"] + ["Pending"] * (len(states) - 1)
        return ordered

    def remove(self) -> None:
        """Instances, profile and role."""
        super().remove()
        self.iam.remove_role_from_instance_profile(InstanceProfileName=self.profile, RoleName=self.role)
        self.iam.delete_instance_profile(InstanceProfileName=self.profile)
        for attached in self.iam.list_attached_role_policies(RoleName=self.role)["AttachedPolicies"]:
            self.iam.detach_role_policy(RoleName=self.role, PolicyArn=attached["PolicyArn"])
        for name in self.iam.list_role_policies(RoleName=self.role)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=self.role, PolicyName=name)
        self.iam.delete_role(RoleName=self.role)

    def _ended(self, command_id: str, instance_id: str) -> dict[str, Any] | None:
        found = self.invocation(command_id, instance_id)
        return found if found["Status"] in ENDED else None


class Sleeper:
    """A command that sleeps until it is killed, to be found among this machine's processes."""

    def __init__(self) -> None:
        self.seconds = f"6{uuid.uuid4().int % 10**12}"
        self.command = f"sleep {self.seconds}"

    def processes(self) -> list[psutil.Process]:
        """Those that run it."""
        wanted = ["sleep", self.seconds]
        return [process for process in psutil.process_iter() if command_line(process) == wanted]

    def await_up(self) -> None:
        """Wait until it runs."""
        wait_for(self.processes, f"the start of {self.command}")

    def await_gone(self) -> None:
        """Wait until it does not run."""
        wait_for(lambda: not self.processes(), f"the end of {self.command}")
