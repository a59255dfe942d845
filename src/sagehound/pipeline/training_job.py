"""One SageMaker training job for a plan: used again when it is done, joined while it runs, else made and waited for.

A job's name is a hash of all that its result depends on. So a finished job is found by its name, and one that failed
is followed by another try that goes on from its checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.bucket import ensure_bucket, list_objects, object_exists
from sagehound.pipeline.bundle import Bundle
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import TRAINING_GROUP, LogTail
from sagehound.pipeline.names import Names, attempt_of
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.security import ensure_role
from sagehound.pipeline.training_request import JobPlan, training_request
from sagehound.pipeline.waiting import poll, telling_interruption, until_settled

ENDED = ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class EndedJob:
    """A completed job as DescribeTrainingJob tells it, and whether this call made it."""

    description: dict[str, Any]
    how: str
    """made, joined or earlier."""

    @property
    def name(self) -> str:
        """TrainingJobName."""
        return str(self.description["TrainingJobName"])

    @property
    def artifact_uri(self) -> str:
        """Where the artefact lies: a tar.gz, or a prefix with a slash at its end."""
        return str(self.description["ModelArtifacts"]["S3ModelArtifacts"])

    @property
    def told(self) -> str:
        """How it came about, for a step's line."""
        return "earlier" if self.how == "earlier" else f"{self.how} in {seconds_of(self.description):.1f} s"


def ensure_training_job(
    clients: Clients,
    names: Names,
    plan: JobPlan,
    base: str,
    bundle: Bundle,
    reporter: Reporter,
    step: str,
    *,
    again: bool = False,
    checkpoints: bool = True,
    intact: Callable[[Clients, dict[str, Any]], bool] | None = None,
) -> EndedJob:
    """The completed job that does what the plan says; ``base`` is its name, further tries add -2, -3 ...

    ``again`` makes one anew even where that was done already; ``intact`` says whether an earlier job's artefact can
    still be used (None: where it is there). Raises StepFailed of ``step`` with the job's
    FailureReason and last lines where it fails, Interrupted on Ctrl-C.
    """
    attempts = _attempts(clients, base)
    running = [job for _, job in attempts if job["TrainingJobStatus"] == "InProgress"]
    if not again and not running:
        done = completed_job(clients, base, intact)
        if done is not None:
            return EndedJob(done, "earlier")
    if running and not again:
        name = str(running[-1]["TrainingJobName"])
        with _telling_interruption(step, name):
            return EndedJob(_wait(clients, name, reporter, step), "joined")
    number = max((attempt for attempt, _ in attempts), default=0) + 1
    name = base if number == 1 else f"{base}-{number}"
    request = training_request(
        plan,
        name,
        names,
        clients.region,
        role_arn=ensure_role(clients, names, step),
        code_uri=ship(clients, names, bundle),
        # A further try after a failure finds the checkpoints of the first; made anew it starts from nothing.
        checkpoints=("" if not checkpoints else name if again else base),
    )
    with _telling_interruption(step, name):
        create_when_role_is_known(clients, lambda: clients.sagemaker.create_training_job(**request))
        return EndedJob(_wait(clients, name, reporter, step), "made")


def completed_job(
    clients: Clients, base: str, intact: Callable[[Clients, dict[str, Any]], bool] | None = None
) -> dict[str, Any] | None:
    """The latest completed job of that name whose artefact is still there (clean-up removes artefacts, never jobs)."""
    usable = intact or artifact_exists
    for _, summary in reversed(_attempts(clients, base)):
        if summary["TrainingJobStatus"] == "Completed":
            job: dict[str, Any] = clients.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
            if usable(clients, job):
                return job
    return None


def artifact_exists(clients: Clients, job: dict[str, Any]) -> bool:
    """Whether the artefact lies where the job says: the archive, or something below the prefix."""
    uri = job.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if key.endswith("/"):
        return bool(list_objects(clients, bucket, key))
    return bool(key) and object_exists(clients, bucket, key)


def ship(clients: Clients, names: Names, bundle: Bundle) -> str:
    """The bundle's address in the bucket; sent unless these very bytes lie there."""
    ensure_bucket(clients, names)
    key = names.code_key(bundle.digest)
    if not object_exists(clients, names.bucket, key):
        clients.s3.put_object(Bucket=names.bucket, Key=key, Body=bundle.content, ContentType="application/gzip")
    return f"s3://{names.bucket}/{key}"


def create_when_role_is_known(clients: Clients, create: Callable[[], Any]) -> None:
    """Call ``create``; again while AWS does not know everywhere yet the role that was made seconds ago.

    Where another run asked for the very same job a moment ago, that one is waited for.
    """
    from botocore.exceptions import ClientError

    for last in until_settled(clients.place):
        try:
            create()
            return
        except ClientError as error:
            code, message = error_of(error)
            if code == "ResourceInUse":
                return
            settling = code == "ValidationException" and "assume the role" in message.lower()
            if not settling or last:
                raise


def seconds_of(job: dict[str, Any]) -> float:
    """TrainingTimeInSeconds, or what lies between the job's two times where AWS has not counted it yet."""
    if "TrainingTimeInSeconds" in job:
        return float(job["TrainingTimeInSeconds"])
    return float((job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds())


def _attempts(clients: Clients, base: str) -> list[tuple[int, dict[str, Any]]]:
    """(number, summary) of the jobs that did or do this very thing, the first one first."""
    pages = clients.sagemaker.get_paginator("list_training_jobs").paginate(NameContains=base)
    jobs = [job for page in pages for job in page["TrainingJobSummaries"]]
    numbered = [(attempt_of(job["TrainingJobName"], base), job) for job in jobs]
    return sorted(((number, job) for number, job in numbered if number is not None), key=lambda pair: pair[0])


def _telling_interruption(step: str, job_name: str) -> AbstractContextManager[None]:
    return telling_interruption(
        step,
        f"training job {job_name} goes on",
        f"`sagehound {step}` waits for it again, `sagehound logs {job_name}` shows it, `sagehound delete` stops it.",
    )


def _wait(clients: Clients, job_name: str, reporter: Reporter, step: str) -> dict[str, Any]:
    """DescribeTrainingJob of the completed job; its log lines go to the reporter meanwhile."""
    tail = LogTail(clients, TRAINING_GROUP, f"{job_name}/")

    def tell() -> None:
        for _, line in tail.new_lines():
            reporter.log(line)

    job = poll(
        lambda: clients.sagemaker.describe_training_job(TrainingJobName=job_name),
        lambda job: job["TrainingJobStatus"] in ENDED,
        clients.place.pauses(),
        each=tell,
    )
    tell()
    status = job["TrainingJobStatus"]
    if status != "Completed":
        reason = job.get("FailureReason") or job.get("SecondaryStatus") or "no reason given"
        last = "\n".join(tail.last_lines(20))
        raise StepFailed(
            step,
            f"training job {job_name} {status}: {reason}" + (f"\n{last}" if last and last not in reason else ""),
            f"`sagehound logs {job_name}` has all of it; after the repair, `sagehound {step}` tries again.",
        )
    return dict(job)
