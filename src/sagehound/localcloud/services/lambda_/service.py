"""AWS Lambda: wires its resources to the store, the packages on disk and the other services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.functions.environments import Environments
from sagehound.localcloud.interception.variables import bundle_of
from sagehound.localcloud.services.lambda_.account import Account
from sagehound.localcloud.services.lambda_.activation import Activation
from sagehound.localcloud.services.lambda_.aliases import Aliases
from sagehound.localcloud.services.lambda_.code import Packages
from sagehound.localcloud.services.lambda_.code_location import CodeLocations
from sagehound.localcloud.services.lambda_.concurrency import Concurrency
from sagehound.localcloud.services.lambda_.deployment import Deployments
from sagehound.localcloud.services.lambda_.function_logs import FunctionLogs
from sagehound.localcloud.services.lambda_.functions import Functions
from sagehound.localcloud.services.lambda_.invocations import Invocations, Surroundings
from sagehound.localcloud.services.lambda_.layer_table import LayerTable
from sagehound.localcloud.services.lambda_.layers import Layers
from sagehound.localcloud.services.lambda_.needs import Objects, RoleTrust
from sagehound.localcloud.services.lambda_.parts import Parts
from sagehound.localcloud.services.lambda_.permissions import Permissions
from sagehound.localcloud.services.lambda_.reserved import Reserved
from sagehound.localcloud.services.lambda_.role_credentials import RoleCredentials
from sagehound.localcloud.services.lambda_.table import FunctionTable
from sagehound.localcloud.services.lambda_.tags import Tags
from sagehound.localcloud.services.lambda_.unconfigured import Unconfigured
from sagehound.localcloud.services.lambda_.updates import Updates
from sagehound.localcloud.services.lambda_.versions import Versions
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from sagehound.settings import LocalCloudSettings


class Lambda:
    """The service as the gateway sees it. `start` goes on with what was under way, `stop` lets go of it."""

    name = "lambda"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account_id: str,
        data_dir: Path,
        settings: LocalCloudSettings,
        *,
        endpoint_url: Callable[[], str],
        objects: Objects,
        roles: RoleTrust,
        around: Surroundings,
    ) -> None:
        packages = Packages(data_dir / "lambda", durable=settings.durable)
        self.table = FunctionTable(store, account_id, packages)
        self.activation = Activation(self.table, packages)
        self.locations = CodeLocations(packages, endpoint_url)
        layers = LayerTable(store, account_id)
        deployments = Deployments(packages, objects)
        versions = Versions(self.table, self.activation)
        parts = Parts(self.table, self.activation, deployments, layers, roles, clock)
        concurrency = Concurrency(settings.lambda_concurrency, self.table.all_reserved)
        self.permissions = Permissions(self.table)
        self.tags = Tags(self.table)
        self.environments = Environments(
            data_dir / "lambda-environments",
            credentials=RoleCredentials(roles, around.sessions),
            logs=FunctionLogs(around.logs, around.authoriser),
            endpoint_url=endpoint_url,
            hidden=(data_dir,),
            bundle=bundle_of(data_dir),
        )
        self.invocations = Invocations(
            store, clock, account_id, self.table, self.environments, concurrency, around, endpoint_url
        )
        self.scaling = self.invocations.scaling
        self._operations = operations_of(
            *self.invocations.resources,
            Functions(parts, versions, self.locations),
            Updates(parts, versions),
            versions,
            Aliases(self.table),
            Layers(layers, deployments, self.locations, clock),
            self.permissions,
            self.tags,
            Account(store, concurrency),
            Reserved(self.table, concurrency),
            Unconfigured(self.table),
        )

    @property
    def operations(self) -> dict[str, Operation]:
        """Every operation that is implemented, by AWS's name."""
        return self._operations

    def resource_policy(self, arn: str, /) -> str | None:
        """The policy of a function, version or alias by its ARN; None when it has none."""
        return self.permissions.resource_policy(arn)

    def resource_tags(self, arn: str, /) -> Mapping[str, str]:
        """The tags of a function by its ARN; its versions and aliases have none."""
        return self.tags.resource_tags(arn)

    async def start(self) -> None:
        """Go on with what was on its way when the server ended."""
        await self.activation.start()
        await self.environments.start()
        await self.invocations.start()

    async def stop(self) -> None:
        """Let go of what is under way; the next start goes on with it."""
        await self.invocations.stop()
        await self.environments.stop()
        await self.activation.stop()
