"""What SageMaker's resources share: the store, the clock, the settings and the other services' parts of the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sagehound.localcloud.processes.supervisor import Supervisor
from sagehound.localcloud.services.sagemaker.needs import (
    LogWriter,
    MetricSink,
    Objects,
    RoleAccess,
    RoleTrust,
    SessionIssuer,
)
from sagehound.localcloud.services.sagemaker.role_actions import RoleActions
from sagehound.localcloud.services.sagemaker.training_events import TrainingEvents
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from sagehound.settings import LocalCloudSettings


@dataclass(frozen=True, slots=True)
class Providers:
    """Passed whole to whatever does work (runs of jobs, endpoints), which takes from it what it needs."""

    store: Store
    clock: Clock
    account_id: str
    data_dir: Path
    settings: LocalCloudSettings
    endpoint_url: Callable[[], str]
    """The address of this cloud's own server, known once it listens."""
    supervisor: Supervisor
    objects: Objects
    logs: LogWriter
    metrics: MetricSink
    roles: RoleTrust
    sessions: SessionIssuer
    access: RoleAccess
    events: TrainingEvents = field(default_factory=TrainingEvents)

    def acting_as(self, role_arn: str, region: str) -> RoleActions:
        """What SageMaker may do with an execution role."""
        return RoleActions(self.access, role_arn, region, self.account_id)
