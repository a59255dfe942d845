"""What creating, updating and publishing functions share: the table, the packages, the work on them, the roles."""

from __future__ import annotations

from dataclasses import dataclass

from sagehound.localcloud.services.lambda_.activation import Activation
from sagehound.localcloud.services.lambda_.deployment import Deployments
from sagehound.localcloud.services.lambda_.layer_table import LayerTable
from sagehound.localcloud.services.lambda_.needs import RoleTrust
from sagehound.localcloud.services.lambda_.table import FunctionTable
from sagehound.localcloud.state.clock import Clock


@dataclass(frozen=True, slots=True)
class Parts:
    """Passed whole to the resources that make and change functions."""

    table: FunctionTable
    activation: Activation
    deployments: Deployments
    layers: LayerTable
    roles: RoleTrust
    clock: Clock
