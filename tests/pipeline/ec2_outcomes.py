"""Outcomes of trainings on EC2 instances, as an instance writes them last of all: EC2 need not know the instance."""

from __future__ import annotations

import itertools
from pathlib import Path

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_plan import OUTCOME, result_prefix
from sagehound.pipeline.instance_source import transfer
from sagehound.pipeline.names import Names


def leave_outcome(clients: Clients, names: Names, run: str, folder: Path, kind: str, start: int, train: int) -> None:
    """A training that began after ``start`` seconds and took ``train`` seconds on an instance of this type."""
    moments = itertools.accumulate((start, train), initial=0)
    phases = folder / run
    phases.write_text("".join(f"{name} {at}\n" for name, at in zip(("start", "train", "end"), moments, strict=True)))
    transfer.outcome(clients.s3, f"s3://{names.bucket}/{result_prefix(names, run)}{OUTCOME}", "0", str(phases), kind)
