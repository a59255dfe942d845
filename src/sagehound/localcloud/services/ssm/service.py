"""Systems Manager put together: its operations, and what policies ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.services.ssm.cipher import Cipher
from sagehound.localcloud.services.ssm.command_table import CommandTable
from sagehound.localcloud.services.ssm.delivery import Delivery
from sagehound.localcloud.services.ssm.describing import Describing
from sagehound.localcloud.services.ssm.fleet import Fleet
from sagehound.localcloud.services.ssm.history import History
from sagehound.localcloud.services.ssm.needs import Machines, Objects, PublicParameters, RoleAccess, RoleTrust
from sagehound.localcloud.services.ssm.parameter_table import ParameterTable
from sagehound.localcloud.services.ssm.parameters import Parameters
from sagehound.localcloud.services.ssm.reading import Reading
from sagehound.localcloud.services.ssm.sending import Sending
from sagehound.localcloud.services.ssm.tags import Tags
from sagehound.localcloud.services.ssm.upload import Upload
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store


class SSM:
    """The service as the gateway sees it."""

    name = "ssm"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account_id: str,
        data_dir: Path,
        *,
        endpoint_url: Callable[[], str],
        machines: Machines,
        public_parameters: PublicParameters,
        roles: RoleTrust,
        access: RoleAccess,
        objects: Objects,
    ) -> None:
        self._machines = machines
        self._folder = data_dir / "commands"
        cipher, parameters = Cipher(data_dir / "ssm.key"), ParameterTable(store, account_id)
        self._tags = Tags(parameters)
        self._commands = CommandTable(store, clock)
        fleet = Fleet(machines, roles, access, clock, account_id)
        upload = Upload(objects, access, fleet, endpoint_url)
        self._delivery = Delivery(self._commands, clock, machines, self._folder, upload)
        self._reading = Reading(parameters, cipher, public_parameters)
        self._operations = operations_of(
            Parameters(parameters, clock, cipher),
            self._reading,
            Describing(parameters),
            self._tags,
            fleet,
            Sending(self._commands, clock, account_id, fleet, self._delivery, upload),
            History(self._commands, upload),
        )

    @property
    def operations(self) -> dict[str, Operation]:
        """By AWS's names."""
        return self._operations

    async def start(self) -> None:
        """Tell the end of commands that ran when an earlier server died, begin those that waited."""
        self._commands.forget_old()
        self._delivery.start()

    async def stop(self) -> None:
        """End the commands that run."""
        await self._delivery.stop()

    def value(self, region: str, name: str) -> str:
        """The value of a parameter, for EC2's `resolve:ssm:NAME`."""
        return self._reading.value(region, name)

    def resource_tags(self, arn: str) -> Mapping[str, str]:
        """The tags of a parameter, or of an instance that a command is for, for conditions of policies."""
        try:
            fields = arns.parse(arn)
        except ValueError:
            return {}
        if fields.service == "ec2":
            return self._machines.instance_tags(arn)
        return self._tags.of(fields.region, arn) if fields.resource.startswith("parameter/") else {}
