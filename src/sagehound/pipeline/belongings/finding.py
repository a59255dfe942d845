"""Everything that a scope has, kind by kind; what may not be looked at is told, and not taken for nothing"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.belongings.functions import find_functions
from sagehound.pipeline.belongings.hosting import find_endpoint_configs, find_endpoints, find_models
from sagehound.pipeline.belongings.jobs import find_training_jobs, find_tuning_jobs
from sagehound.pipeline.belongings.logs import find_log_groups
from sagehound.pipeline.belongings.machines import find_instances, find_surroundings
from sagehound.pipeline.belongings.notebooks import find_lifecycle_configs, find_notebooks
from sagehound.pipeline.belongings.roles import find_roles
from sagehound.pipeline.belongings.scaling import find_scaling
from sagehound.pipeline.belongings.storage import find_buckets, find_data, find_outputs
from sagehound.pipeline.belongings.thing import Kind, Scope, Thing
from sagehound.pipeline.clients import Clients

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDeniedFault")
_NO_SUCH_SERVICE = (
    *("UnknownOperationException", "InvalidAction", "UnknownOperation", "NotImplemented", "UnsupportedOperation"),
    *("UnknownService", "NotImplementedException"),
)


@dataclass
class Found:
    """What there is."""

    things: list[Thing] = field(default_factory=list)
    """In the order of their removal."""
    unseen: list[str] = field(default_factory=list)
    """Each in a sentence: what could not be looked at, and why."""


def find(clients: Clients, scope: Scope) -> Found:
    """Everything of the scope; raises botocore's ClientError but for what is denied or not there at all."""
    found = Found()
    functions = _look(found, "functions", lambda: find_functions(clients, scope))
    endpoints = _look(found, "endpoints", lambda: find_endpoints(clients, scope))
    scaled = [*functions, *endpoints]
    _look(found, "scaling", lambda: find_scaling(clients, scope, scaled))
    _look(found, "tuning jobs", lambda: find_tuning_jobs(clients, scope))
    _look(found, "training jobs", lambda: find_training_jobs(clients, scope))
    _look(found, "EC2 instances", lambda: find_instances(clients, scope))
    notebooks = _look(found, "notebook instances", lambda: find_notebooks(clients, scope))
    _look(found, "log groups", lambda: find_log_groups(clients, scope, scaled))
    _look(found, "endpoint configurations", lambda: find_endpoint_configs(clients, scope))
    _look(found, "models", lambda: find_models(clients, scope))
    _look(found, "lifecycle configurations", lambda: find_lifecycle_configs(clients, scope, notebooks))
    _look(found, "roles, profiles and security groups of instances", lambda: find_surroundings(clients, scope))
    _look(found, "the output of jobs", lambda: find_outputs(clients, scope))
    _look(found, "data sets", lambda: find_data(clients, scope))
    _look(found, "buckets", lambda: find_buckets(clients, scope))
    _look(found, "roles", lambda: find_roles(clients, scope, [*functions, *notebooks]))
    order = list(Kind)
    found.things.sort(key=lambda thing: order.index(thing.kind))
    return found


def _look(found: Found, what: str, read: Callable[[], Iterable[Thing]]) -> list[Thing]:
    """What was read, added to what is found; where AWS does not tell, a sentence that says so."""
    from botocore.exceptions import ClientError

    things: list[Thing] = []
    try:
        things.extend(read())
    except ClientError as error:
        code, message = error_of(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _DENIED:
            found.unseen.append(f"{what}: {error.operation_name} is not allowed ({message})")
        elif code in _NO_SUCH_SERVICE or status == 501:
            found.unseen.append(f"{what}: this cloud has no {error.operation_name}")
        else:
            raise
    found.things += things
    return things
