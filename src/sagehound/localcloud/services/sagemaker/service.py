"""Amazon SageMaker: wires its resources to the store, the supervisor and the other services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.processes.supervisor import Supervisor
from sagehound.localcloud.services.sagemaker.endpoint_configs import EndpointConfigs
from sagehound.localcloud.services.sagemaker.endpoint_scaling import VariantScaling
from sagehound.localcloud.services.sagemaker.endpoints import Endpoints
from sagehound.localcloud.services.sagemaker.models import Models
from sagehound.localcloud.services.sagemaker.needs import (
    IsTarget,
    LogWriter,
    MetricCounter,
    MetricSink,
    Objects,
    RoleAccess,
    RoleTrust,
    SessionIssuer,
)
from sagehound.localcloud.services.sagemaker.notebook_instances import NotebookInstances
from sagehound.localcloud.services.sagemaker.notebook_lifecycle_configs import NotebookLifecycleConfigs
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags
from sagehound.localcloud.services.sagemaker.training_jobs import TrainingJobs
from sagehound.localcloud.services.sagemaker.tuning_jobs import TuningJobs
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from sagehound.settings import LocalCloudSettings


class SageMaker:
    """The service as the gateway sees it. `start` recovers what was running, `stop` leaves jobs to be adopted."""

    name = "sagemaker"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account_id: str,
        data_dir: Path,
        settings: LocalCloudSettings,
        *,
        endpoint_url: Callable[[], str],
        supervisor: Supervisor,
        objects: Objects,
        logs: LogWriter,
        metrics: MetricSink,
        counter: MetricCounter,
        roles: RoleTrust,
        sessions: SessionIssuer,
        access: RoleAccess,
        is_target: IsTarget,
    ) -> None:
        providers = Providers(
            store,
            clock,
            account_id,
            data_dir,
            settings,
            endpoint_url,
            supervisor,
            objects,
            logs,
            metrics,
            roles,
            sessions,
            access,
        )
        self.tags = Tags(store)
        self.training_jobs = TrainingJobs(providers, self.tags)
        self.tuning_jobs = TuningJobs(providers, self.tags, self.training_jobs)
        self.models = Models(providers, self.tags)
        self.endpoint_configs = EndpointConfigs(providers, self.tags)
        self.endpoints = Endpoints(providers, self.tags, counter, is_target)
        self.notebook_instances = NotebookInstances(providers, self.tags)
        self.notebook_lifecycle_configs = NotebookLifecycleConfigs(providers, self.tags)
        self.router = self.endpoints.router
        self.scaling = VariantScaling(providers, self.endpoints)

    @property
    def operations(self) -> dict[str, Operation]:
        """Every operation that is implemented, by AWS's name."""
        return operations_of(
            *(self.training_jobs, self.tuning_jobs, self.models, self.endpoint_configs, self.endpoints, self.tags),
            *(self.notebook_instances, self.notebook_lifecycle_configs),
        )

    async def start(self) -> None:
        """Go on with what was on its way when the server ended."""
        await self.training_jobs.start()
        await self.tuning_jobs.start()
        await self.endpoints.start()
        await self.notebook_instances.start()

    async def stop(self) -> None:
        """End the model servers and the notebook instances, let go of the tuning and the training jobs."""
        await self.notebook_instances.stop()
        await self.tuning_jobs.stop()
        await self.endpoints.stop()
        await self.training_jobs.stop()
