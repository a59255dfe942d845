"""Training and tuning jobs that run: found, stopped, and waited for. SageMaker deletes no job: ended ones stay told"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless, error_of
from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.places import of_job
from sagehound.pipeline.belongings.thing import Billed, Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import RUN_TAG
from sagehound.pipeline.pricing.prices import Use
from sagehound.pipeline.trials import trials_of
from sagehound.pipeline.waiting import poll

MOVING = ("InProgress", "Stopping")


def find_tuning_jobs(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """Tuning jobs that run or are being stopped."""
    prefixes = [""] if scope.everywhere else [scope.names.tuning_prefix]
    for name, owner in _moving(clients, scope, "HyperParameterTuningJob", prefixes):
        job = clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        needs, status = of_job(job.get("TrainingJobDefinition", {})), job["HyperParameterTuningJobStatus"]
        yield Thing(Kind.TUNING_JOB, name, *owner, detail=status, needs=frozenset(needs))


def find_training_jobs(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """Training jobs that run or are being stopped; trials go with their tuning job."""
    prefixes = [""] if scope.everywhere else [scope.names.features_prefix, scope.names.job_prefix]
    for name, owner in _moving(clients, scope, "TrainingJob", prefixes):
        job = clients.sagemaker.describe_training_job(TrainingJobName=name)
        if "TuningJobArn" in job:
            continue
        resources = job.get("ResourceConfig", {})
        billed, detail = None, job["TrainingJobStatus"]
        if "InstanceType" in resources and "TrainingStartTime" in job:
            billed = Billed(Use.TRAINING, resources["InstanceType"], int(resources["InstanceCount"]))
            detail += f", {billed.count} x {billed.item}"
        yield Thing(Kind.TRAINING_JOB, name, *owner, detail=detail, needs=frozenset(of_job(job)), billed=billed)


def stop_tuning_job(clients: Clients, thing: Thing) -> None:
    """Ask for the end of its trials too."""
    _stop(partial(clients.sagemaker.stop_hyper_parameter_tuning_job, HyperParameterTuningJobName=thing.name))


def stop_training_job(clients: Clients, thing: Thing) -> None:
    """Ask for its end."""
    _stop(partial(clients.sagemaker.stop_training_job, TrainingJobName=thing.name))


def wait_for_tuning_job(clients: Clients, thing: Thing) -> None:
    """Until it has ended, and its trials, which are training jobs of their own and may still upload then."""
    poll(partial(_tuning_ended, clients, thing.name), bool, clients.place.pauses())


def wait_for_training_job(clients: Clients, thing: Thing) -> None:
    """Until it has ended: one that is being stopped still uploads its artefact, and a bucket would not stay empty."""
    poll(partial(_training_ended, clients, thing.name), bool, clients.place.pauses())


def history(clients: Clients, scope: Scope) -> bool:
    """Whether SageMaker goes on telling of jobs of the project; False for who may not ask."""
    names, denied = scope.names, ("AccessDeniedException", "AccessDenied")
    for prefix in (names.job_prefix, names.features_prefix, names.tuning_prefix):
        told = answer_unless(partial(clients.sagemaker.list_training_jobs, NameContains=prefix, MaxResults=1), *denied)
        if told and told["TrainingJobSummaries"]:
            return True
    return False


def has_run(clients: Clients, scope: Scope, run: str) -> bool:
    """Whether a job of this run is in the history."""
    pages = clients.sagemaker.get_paginator("list_training_jobs").paginate(NameContains=scope.names.project)
    for summary in (summary for page in pages for summary in page["TrainingJobSummaries"]):
        tags = clients.sagemaker.list_tags(ResourceArn=summary["TrainingJobArn"])["Tags"]
        if scope.owner(tags) and {"Key": RUN_TAG, "Value": run} in tags:
            return True
    return False


def _moving(clients: Clients, scope: Scope, kind: str, prefixes: list[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name, (project, run)) of the jobs of one kind that have not ended, begin so, and are of the scope."""
    operation = {"TrainingJob": "list_training_jobs", "HyperParameterTuningJob": "list_hyper_parameter_tuning_jobs"}
    for prefix in prefixes:
        for status in MOVING:
            asked = {"StatusEquals": status} | ({"NameContains": prefix} if prefix else {})
            pages = clients.sagemaker.get_paginator(operation[kind]).paginate(**asked)
            for summary in (summary for page in pages for summary in page[f"{kind}Summaries"]):
                if not summary[f"{kind}Name"].startswith(prefix):
                    continue
                owner = scope.owner(clients.sagemaker.list_tags(ResourceArn=summary[f"{kind}Arn"])["Tags"])
                if owner is not None:
                    yield summary[f"{kind}Name"], owner


def _stop(stop: Callable[[], Any]) -> None:
    """A job that has ended meanwhile cannot be stopped any more, and need not be."""
    from botocore.exceptions import ClientError

    try:
        unless_gone(stop)
    except ClientError as error:
        if error_of(error)[0] != "ValidationException":
            raise


def _tuning_ended(clients: Clients, name: str) -> bool:
    job = clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    if job["HyperParameterTuningJobStatus"] in MOVING:
        return False
    return all(trial.ended for trial in trials_of(clients, name))


def _training_ended(clients: Clients, name: str) -> bool:
    return clients.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] not in MOVING
