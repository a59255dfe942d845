"""Amazon EC2 put together: its operations, and the instances behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sagehound.localcloud.call import Call, Operation, Request, operations_of
from sagehound.localcloud.instances.spec import InstanceEngine
from sagehound.localcloud.services.ec2 import catalogue, errors
from sagehound.localcloud.services.ec2.attached import Attached
from sagehound.localcloud.services.ec2.attributes import Attributes
from sagehound.localcloud.services.ec2.commands import Commands
from sagehound.localcloud.services.ec2.console import Console
from sagehound.localcloud.services.ec2.images import ImageParameters, Images
from sagehound.localcloud.services.ec2.instance_types import InstanceTypes
from sagehound.localcloud.services.ec2.instances import Instances
from sagehound.localcloud.services.ec2.key_pairs import KeyPairs
from sagehound.localcloud.services.ec2.launch import Launches
from sagehound.localcloud.services.ec2.machines import Machines
from sagehound.localcloud.services.ec2.metadata import InstanceMetadata, RoleKeys
from sagehound.localcloud.services.ec2.named import Named
from sagehound.localcloud.services.ec2.needs import Entities, RoleTrust, SessionIssuer
from sagehound.localcloud.services.ec2.network import Network
from sagehound.localcloud.services.ec2.power import Power
from sagehound.localcloud.services.ec2.presentation import Presentation
from sagehound.localcloud.services.ec2.profiles import ProfileAssociations, Profiles
from sagehound.localcloud.services.ec2.regions import Regions
from sagehound.localcloud.services.ec2.run_instances import RunInstances
from sagehound.localcloud.services.ec2.security_group_rules import SecurityGroupRules
from sagehound.localcloud.services.ec2.security_groups import GroupTable, SecurityGroups
from sagehound.localcloud.services.ec2.table import InstanceTable
from sagehound.localcloud.services.ec2.tags import Tags, TagTable, resource_type
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from sagehound.settings import LocalCloudSettings

_CHECKS_FIRST = "RunInstances"
"""Its DryRun tells of all that would be refused, not of permissions alone."""


class EC2:
    """The service as the gateway sees it. `start` adopts instances, `stop` leaves them running."""

    name = "ec2"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account_id: str,
        data_dir: Path,
        settings: LocalCloudSettings,
        *,
        endpoint_url: Callable[[], str],
        engine: InstanceEngine,
        entities: Entities,
        roles: RoleTrust,
        sessions: SessionIssuer,
        parameters: ImageParameters,
    ) -> None:
        self._tags = TagTable(store)
        table = self._table = InstanceTable(store, clock, account_id, self._tags)
        self._groups = GroupTable(store, account_id, self._tags)
        self._key_pairs = KeyPairs(store, clock, self._tags)
        profiles = Profiles(entities)
        self._network = Network(account_id, self._tags, table.addresses)
        presentation = Presentation(table, self._groups)
        keys = RoleKeys(clock, roles, sessions)

        def metadata_of(region: str, instance_id: str) -> InstanceMetadata:
            return InstanceMetadata(table, region, instance_id, profiles, keys, presentation.group_name)

        self._machines = Machines(table, engine, clock, data_dir / "instances", endpoint_url, metadata_of)
        launches = Launches(self._groups, self._key_pairs, self._network, profiles, parameters)
        self.named = Named(table, self._groups, self._key_pairs, parameters)
        groups = SecurityGroups(self._groups, table.groups_in_use)
        self._attached = Attached(table, presentation)
        self.commands = Commands(table, engine, profiles)
        found = operations_of(
            RunInstances(store, table, clock, launches, self._machines, presentation, settings.quotas),
            Instances(table, self._machines, presentation),
            Power(table, self._machines, clock, settings.quotas),
            Console(table, self._machines),
            Attributes(table, self._groups, presentation),
            ProfileAssociations(table, profiles, clock),
            self._attached,
            self._key_pairs,
            groups,
            SecurityGroupRules(self._groups, groups),
            self._network,
            Regions(),
            Images(self._tags),
            InstanceTypes(),
            Tags(self._tags, self.exists),
        )
        self._operations = {name: _dry(name, operation) for name, operation in found.items()}

    @property
    def operations(self) -> dict[str, Operation]:
        """By AWS's names."""
        return self._operations

    def public_parameters(self, region: str) -> Mapping[str, str]:
        """Systems Manager's public parameters that name an image of this cloud."""
        return catalogue.parameters(region)

    def exists(self, region: str, resource_id: str) -> bool:
        """Whether a region has this resource, whatever it is."""
        kind = resource_type(resource_id)
        if kind == "instance":
            return self._table.find(region, resource_id) is not None
        if kind == "image":
            return resource_id in catalogue.images(region)
        if kind == "key-pair":
            return self._key_pairs.exists(region, resource_id)
        if kind in ("security-group", "security-group-rule"):
            return self._groups.exists(region, resource_id)
        if kind in ("volume", "network-interface"):
            return self._attached.exists(region, resource_id)
        return self._network.exists(region, resource_id)

    def resource_tags(self, arn: str, /) -> Mapping[str, str]:
        """The tags of a resource by its ARN, for policies; a key pair's ARN has its name."""
        parsed = arns.parse(arn)
        kind, _, name = parsed.resource.partition("/")
        if kind == "key-pair":
            return self._key_pairs.tags_of(parsed.region, name)
        return self._tags.of(parsed.region, name)

    async def start(self) -> None:
        """Adopt the instances that run."""
        await self._machines.start()

    async def stop(self) -> None:
        """Let go of instances, which run on."""
        await self._machines.stop()


def _dry(name: str, operation: Operation) -> Operation:
    """DryRun ends a call that is allowed before it does anything."""
    if name == _CHECKS_FIRST:
        return operation

    def run(call: Call, request: Request) -> Any:
        if request.pop("DryRun", False):
            raise errors.dry_run()
        return operation(call, request)

    return run
