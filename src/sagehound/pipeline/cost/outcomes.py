"""The outcomes that trainings on EC2 instances left in the bucket: EC2 forgets an instance an hour after its end"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import ec2_seconds
from sagehound.pipeline.cost.timeline import Period, after
from sagehound.pipeline.cost.usage import InstanceTraining, Usage, Usages
from sagehound.pipeline.instance_plan import OUTCOME, result_prefix
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use


@dataclass(frozen=True)
class Outcome:
    """How a training ended, as its instance wrote it last of all."""

    name: str
    """The training's."""
    written: datetime
    status: int
    instance_type: str
    """Empty in one of an earlier version."""
    phase: Decimal | None
    """Seconds in which the script ran."""
    seconds: Decimal
    """From its first command to its last."""


def read_outcomes(clients: Clients, names: Names) -> list[Outcome]:
    """Those of all the project's trainings that have one, the oldest first."""
    begin = result_prefix(names, "").rstrip("/") + "/"
    keys = [key for key in list_objects(clients, names.bucket, begin) if key.endswith(f"/{OUTCOME}")]
    return sorted(_read(clients, names, begin, keys), key=lambda one: one.written)


def _read(clients: Clients, names: Names, begin: str, keys: list[str]) -> Iterator[Outcome]:
    for key in keys:
        # One that is trained anew removes its outcome first.
        found = answer_unless(partial(clients.s3.get_object, Bucket=names.bucket, Key=key), "NoSuchKey")
        if found is None:
            continue
        told = _parsed(found["Body"].read())
        took = {phase: Decimal(str(seconds)) for phase, seconds in told.get("seconds", {}).items()}
        yield Outcome(
            name=key.removeprefix(begin).removesuffix(f"/{OUTCOME}"),
            written=found["LastModified"],
            status=int(told.get("status", -1)),
            instance_type=str(told.get("instance_type", "")),
            phase=took.get("train"),
            seconds=sum(took.values(), Decimal(0)),
        )


def _parsed(body: bytes) -> dict[str, Any]:
    """An outcome; nothing where somebody else has written there."""
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def forgotten_usages(outcome: Outcome, since: datetime | None) -> Usages:
    """What the instance of an outcome used whom EC2 does not know any more: the seconds that it took itself."""
    found = Usages()
    if not outcome.instance_type:
        found.not_counted.append(
            f"the training {outcome.name} on an instance that EC2 has forgotten: its type went with it"
        )
        return found
    begin = outcome.written - timedelta(seconds=float(outcome.seconds))
    lasted = [span.seconds(outcome.written) for span in after([Period(begin, outcome.written, 1)], since)]
    if not lasted:
        return found
    seconds, billable = sum(lasted, Decimal(0)), ec2_seconds(lasted)
    what = f"{outcome.name}, {outcome.instance_type}"
    found.entries.append(Usage("instance", what, Use.EC2, outcome.instance_type, billable, seconds, 1, outcome.name))
    if outcome.status == 0:
        found.trainings.append(
            InstanceTraining(outcome.name, "", outcome.instance_type, seconds, billable, outcome.phase)
        )
    found.not_counted.append(
        f"of the instance that did {outcome.name}, which EC2 has forgotten: its boot, its volume, a public address"
    )
    return found
