"""The lines of a training job or an endpoint by its name, once or as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sagehound.errors import Interrupted, StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of, is_missing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import describe_endpoint
from sagehound.pipeline.log_tail import TRAINING_GROUP, LogTail, endpoint_group
from sagehound.pipeline.waiting import pauses


def follow_logs(clients: Clients, name: str, follow: bool) -> Iterator[str]:
    """What ``name`` has written, with ``follow`` also what it goes on to write; StepFailed for an unknown name."""
    with aws_step("logs"):
        job = _job_status(clients, name)
        endpoint = None if job else describe_endpoint(clients, name)
        tail = LogTail(clients, TRAINING_GROUP, f"{name}/") if job else LogTail(clients, endpoint_group(name))
        lines = list(_lines(tail))
        if not (job or endpoint or lines):
            raise StepFailed(
                "logs", f"there is no training job and no endpoint {name}", "`sagehound status` shows what runs."
            )
        yield from lines
        if not follow:
            return
        try:
            for pause in pauses(clients.local):
                # The status comes first: lines written before the end are there once the end is told.
                ended = _ended(clients, name, bool(job))
                yield from _lines(tail)
                if ended:
                    return
                time.sleep(pause)
        except KeyboardInterrupt:
            raise Interrupted(
                "logs", f"interrupted; {name} goes on", f"`sagehound logs {name} --follow` shows it again."
            ) from None


def _lines(tail: LogTail) -> Iterator[str]:
    for stream, line in tail.new_lines():
        # Several hosts write at once: each line says whose it is where the name is more than JOB/algo-1-...
        yield line if "/algo-1" in stream or "/algo-" not in stream else f"[{stream.split('/')[-1][:6]}] {line}"


def _job_status(clients: Clients, name: str) -> str:
    from botocore.exceptions import ClientError

    try:
        return str(clients.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"])
    except ClientError as error:
        if is_missing(error) or "not found" in error_of(error)[1].lower():
            return ""
        raise


def _ended(clients: Clients, name: str, is_job: bool) -> bool:
    if is_job:
        return _job_status(clients, name) not in ("InProgress", "Stopping")
    return describe_endpoint(clients, name) is None
