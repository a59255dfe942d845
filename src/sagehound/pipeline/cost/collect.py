"""Everything that a project has used, found through the AWS API: what cannot be looked at is told, not left out"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.endpoints import endpoint_usages
from sagehound.pipeline.cost.functions import function_usages
from sagehound.pipeline.cost.history import History
from sagehound.pipeline.cost.jobs import job_usages
from sagehound.pipeline.cost.machines import machine_usages
from sagehound.pipeline.cost.notebooks import notebook_usages
from sagehound.pipeline.cost.storage import alarm_usages, storage_usages
from sagehound.pipeline.cost.usage import Usages
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use

_NOT_ALLOWED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDeniedFault")
_NOT_THERE = (
    *("UnknownOperationException", "InvalidAction", "UnknownOperation", "NotImplemented", "UnsupportedOperation"),
    *("UnknownService", "NotImplementedException"),
)
NEVER_COUNTED = (
    "data transfer, CloudWatch logs and metrics, the volumes and the processed data of endpoints, taxes, credits"
)
"""What no entry of any bill here is about."""


def collect(clients: Clients, names: Names, since: datetime | None = None, now: datetime | None = None) -> Usages:
    """What the project has used after ``since``; where ``names`` have a run, what that run has made of it.

    Raises botocore's ClientError but for missing permissions and services, which are told in the result.
    """
    moment = now or cloud_now(clients)
    found = Usages()
    history = History(clients)
    parts: tuple[tuple[str, Callable[[], Usages]], ...] = (
        ("training and tuning jobs", lambda: job_usages(clients, names, since, moment)),
        ("endpoints", lambda: endpoint_usages(clients, names, history, since, moment)),
        ("functions", lambda: function_usages(clients, names, history, since, moment)),
        ("alarms", lambda: alarm_usages(clients, names, _scaled(found), since, moment)),
        ("notebook instances", lambda: notebook_usages(clients, names, history, since, moment)),
        ("EC2 instances", lambda: machine_usages(clients, names, history, since, moment)),
        ("the bucket", lambda: storage_usages(clients, names, since, moment)),
    )
    for label, read in parts:
        found.add(_told(label, read))
    if names.run:
        found.not_counted.append(f"which run used functions, alarms and the bucket: they are all of {names.project}'s")
    if history.refused:
        found.not_counted.append(f"what is deleted: {history.refused}")
    return found


def cloud_now(clients: Clients) -> datetime:
    """What the cloud's clock says now: a local one may run faster."""
    return datetime.fromtimestamp(clients.clock.cloud_time(time.time()), UTC)


def _told(label: str, read: Callable[[], Usages]) -> Usages:
    """What was read; where AWS refuses to tell, or has no such thing, one sentence that says so."""
    from botocore.exceptions import ClientError

    try:
        return read()
    except ClientError as error:
        code, message = error_of(error)
        if code in _NOT_ALLOWED:
            return Usages(not_counted=[f"{label}: {error.operation_name} is not allowed ({message})"])
        if code in _NOT_THERE or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 501:
            return Usages(not_counted=[f"{label}: this cloud has no {error.operation_name}"])
        raise


def _scaled(found: Usages) -> list[str]:
    """How the alarms of target tracking begin for what was found."""
    endpoints_found = [f"endpoint/{one.resource}/" for one in found.running if one.use is Use.HOSTING]
    functions_found = [f"function:{one.resource}:" for one in found.running if one.use is Use.LAMBDA_PROVISIONED]
    return list(dict.fromkeys([*endpoints_found, *functions_found]))
