"""How each kind is removed: asked for, and where that takes time waited for; what uses something before what is used"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sagehound.pipeline.belongings import functions, hosting, jobs, logs, machines, notebooks, roles, scaling, storage
from sagehound.pipeline.belongings.thing import Kind, Thing
from sagehound.pipeline.clients import Clients

Act = Callable[[Clients, Thing], None]


@dataclass(frozen=True)
class Removal:
    """What is done about a kind."""

    begin: Act
    finish: Act | None = None
    """What follows once all of the same stage were begun: most of it is waiting."""


STAGES: tuple[dict[Kind, Removal], ...] = (
    # A policy that still acts would move an endpoint that is to go.
    {Kind.SCALING: Removal(scaling.remove)},
    {
        Kind.TUNING_JOB: Removal(jobs.stop_tuning_job, jobs.wait_for_tuning_job),
        Kind.TRAINING_JOB: Removal(jobs.stop_training_job, jobs.wait_for_training_job),
        Kind.INSTANCE: Removal(machines.terminate_instance, machines.wait_until_terminated),
        Kind.NOTEBOOK: Removal(notebooks.stop_notebook, notebooks.delete_notebook),
        Kind.FUNCTION: Removal(functions.delete_function),
        Kind.ENDPOINT: Removal(hosting.delete_endpoint, hosting.wait_until_deleted),
    },
    {Kind.LOG_GROUP: Removal(logs.delete_log_group), Kind.ENDPOINT_CONFIG: Removal(hosting.delete_endpoint_config)},
    {
        Kind.MODEL: Removal(hosting.delete_model),
        Kind.LIFECYCLE_CONFIG: Removal(notebooks.delete_lifecycle_config),
        Kind.SURROUNDINGS: Removal(machines.remove_surroundings),
    },
    {Kind.OUTPUT: Removal(storage.delete_output), Kind.OBJECTS: Removal(storage.delete_objects)},
    {
        Kind.BUCKET: Removal(storage.delete_bucket),
        Kind.POLICY: Removal(roles.delete_policies),
        Kind.ROLE: Removal(roles.delete_role),
    },
)
