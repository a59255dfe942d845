"""The lines of a training job, of a tuning job's trials, of an endpoint or of a function by its name, once or live."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sagehound.errors import Interrupted, StepFailed
from sagehound.pipeline.aws_errors import answer_unless, aws_step, error_of, is_missing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import describe_endpoint
from sagehound.pipeline.log_tail import TRAINING_GROUP, LogTail, endpoint_group, function_group
from sagehound.pipeline.tuning_job import describe_tuning

_LONGEST_TUNING = 32  # characters that AWS allows: a longer name is none, and would be refused


def follow_logs(clients: Clients, name: str, follow: bool) -> Iterator[str]:
    """What ``name`` has written, with ``follow`` also what it goes on to write; StepFailed for an unknown name."""
    with aws_step("logs"):
        kind = _kind(clients, name)
        tail = _tail(clients, name, kind)
        lines = list(_lines(tail, name))
        if not (kind or lines):
            raise StepFailed(
                "logs",
                f"there is no training job, no tuning job, no endpoint and no function {name}",
                "`sagehound status` shows what runs.",
            )
        yield from lines
        if not follow:
            return
        try:
            for pause in clients.place.pauses():
                # The status comes first: lines written before the end are there once the end is told.
                ended = _ended(clients, name, kind)
                yield from _lines(tail, name)
                if ended:
                    return
                time.sleep(pause)
        except KeyboardInterrupt:
            raise Interrupted(
                "logs", f"interrupted; {name} goes on", f"`sagehound logs {name} --follow` shows it again."
            ) from None


def _kind(clients: Clients, name: str) -> str:
    """training, tuning, endpoint or function; "" for a name that is none of them."""
    if _job_status(clients, name):
        return "training"
    if len(name) <= _LONGEST_TUNING and describe_tuning(clients, name):
        return "tuning"
    if describe_endpoint(clients, name):
        return "endpoint"
    return "function" if _is_function(clients, name) else ""


def _tail(clients: Clients, name: str, kind: str) -> LogTail:
    if kind == "training":
        return LogTail(clients, TRAINING_GROUP, f"{name}/")
    if kind == "tuning":
        # Its trials are called NAME-NNN-XXXXXXXX, and each has streams of its own.
        return LogTail(clients, TRAINING_GROUP, f"{name}-")
    return LogTail(clients, function_group(name) if kind == "function" else endpoint_group(name))


def _lines(tail: LogTail, name: str) -> Iterator[str]:
    for stream, line in tail.new_lines():
        # Several trials or hosts write at once: each line says whose it is where the name leaves that open.
        marks = []
        job, _, host = stream.partition("/")
        if job != name and job.startswith(f"{name}-"):
            marks.append(job.removeprefix(f"{name}-").split("-")[0])
        if host.startswith("algo-") and not host.startswith("algo-1-") and host != "algo-1":
            marks.append("-".join(host.split("-")[:2]))
        yield f"[{' '.join(marks)}] {line}" if marks else line


def _job_status(clients: Clients, name: str) -> str:
    from botocore.exceptions import ClientError

    try:
        return str(clients.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"])
    except ClientError as error:
        if is_missing(error) or "not found" in error_of(error)[1].lower():
            return ""
        raise


def _ended(clients: Clients, name: str, kind: str) -> bool:
    if kind == "training":
        return _job_status(clients, name) not in ("InProgress", "Stopping")
    if kind == "tuning":
        found = describe_tuning(clients, name)
        return found is None or found["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping")
    return describe_endpoint(clients, name) is None if kind == "endpoint" else not _is_function(clients, name)


def _is_function(clients: Clients, name: str) -> bool:
    ask = clients.lambda_.get_function_configuration
    found = answer_unless(lambda: ask(FunctionName=name), "ResourceNotFoundException", "ValidationException")
    return found is not None
