"""What other services ask of instances: which run, and to run a program on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.instances.spec import BytesSink, Command, InstanceEngine, NotRunning
from sagehound.localcloud.processes.supervisor import Exit
from sagehound.localcloud.services.ec2.profiles import Profiles
from sagehound.localcloud.services.ec2.table import InstanceTable
from sagehound.localcloud.state import arns


@dataclass(frozen=True, slots=True)
class RunningInstance:
    """A running instance, as far as the agent on it would tell."""

    instance_id: str
    image: str
    hostname: str
    private_ip: str
    role_arn: str | None
    tags: Mapping[str, str]


class Commands:
    """A provider of Systems Manager."""

    def __init__(self, table: InstanceTable, engine: InstanceEngine, profiles: Profiles) -> None:
        self._table = table
        self._engine = engine
        self._profiles = profiles

    def running(self, region: str, /) -> Sequence[RunningInstance]:
        """All instances in state running, in the order of their launch."""
        records = [record for record in self._table.all(region) if record["InstanceState"] == "running"]
        return [self._told(record) for record in sorted(records, key=lambda record: str(record["LaunchTime"]))]

    def instance_tags(self, arn: str, /) -> Mapping[str, str]:
        """The tags of an instance by its ARN; none when there is none."""
        try:
            parsed = arns.parse(arn)
        except ValueError:
            return {}
        return self._table.tags.of(parsed.region, parsed.resource.removeprefix("instance/"))

    async def run(
        self, region: str, instance_id: str, command: Command, stdout: BytesSink, stderr: BytesSink, /
    ) -> Exit:
        """Run a command to its end: TimeoutError when it takes too long, NotRunning when the instance is not up."""
        record = self._table.find(region, instance_id)
        if record is None or record["InstanceState"] != "running" or "Handle" not in record:
            raise NotRunning(instance_id)
        return await self._engine.run(record["Handle"], command, stdout, stderr)

    def _told(self, record: dict[str, Any]) -> RunningInstance:
        return RunningInstance(
            instance_id=record["InstanceId"],
            image=record["ImageName"],
            hostname=record["PrivateDnsName"],
            private_ip=record["PrivateIpAddress"],
            role_arn=self._profiles.role_arn(record.get("IamInstanceProfile")),
            tags=self._table.tags.of(record["Region"], record["InstanceId"]),
        )
