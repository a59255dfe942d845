"""What Application Auto Scaling has set when: capacity changes out of its activities"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.timeline import Change

_DESIRED = re.compile(r" to (\d+)\b")


def scaled_changes(clients: Clients, service: str, resource_id: str) -> list[Change]:
    """The changes of a scalable target, as far back as AWS remembers them: six weeks."""
    pages = clients.autoscaling.get_paginator("describe_scaling_activities").paginate(
        ServiceNamespace=service, ResourceId=resource_id
    )
    return [change for page in pages for one in page["ScalingActivities"] if (change := change_of(one))]


def change_of(activity: Mapping[str, Any]) -> Change | None:
    """An activity that was carried out ("Setting desired instance count to 3."); None for others."""
    number = _DESIRED.search(activity.get("Description", ""))
    if activity["StatusCode"] not in ("Successful", "Overridden") or number is None:
        return None
    # New instances are billed from their own start, which is nearer to the beginning of the activity than to its end.
    return Change(activity["StartTime"], int(number[1]))
