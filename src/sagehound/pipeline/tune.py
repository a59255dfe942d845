"""Tune: one SageMaker hyperparameter tuning job, made unless the same one is done or under way, and its best trial.

A tuning's name is a hash of all that its trials depend on; another try at the same thing has the hash of that and
its number, since AWS leaves no room for a suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from sagehound.errors import SettingsError, StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.chance import Verdict, judge, validation_metrics
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.code import Code, find_code, is_ours, warn_of_script
from sagehound.pipeline.features import FeatureChannel, uses_features
from sagehound.pipeline.hyperparameters import our_hyperparameters, told
from sagehound.pipeline.job_plan import job_plan
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.search_space import Space, combinations, fitted, search_space
from sagehound.pipeline.security import ensure_role
from sagehound.pipeline.training_job import create_when_role_is_known, ship
from sagehound.pipeline.training_request import JobPlan
from sagehound.pipeline.trials import failures
from sagehound.pipeline.tuning_job import Tuning, completed_tuning, find_tuning, latest_tuning, wait_for_tuning
from sagehound.pipeline.tuning_request import (
    check_tuning,
    tuning_digest,
    tuning_request,
)
from sagehound.pipeline.upload import StoredData
from sagehound.pipeline.waiting import telling_interruption
from sagehound.settings import PipelineSettings, TuneSettings


def space_of(settings: PipelineSettings) -> Space:
    """The checked ranges; raises SettingsError for settings of a tuning that do not fit together."""
    tune = settings.tune
    ours = is_ours(tune.entry_point, tune.source_dir)
    space = search_space(tune.ranges)
    if ours:
        space = fitted(space, our_hyperparameters())
    check_tuning(tune, space, ours=ours)
    if ours and tune.strategy == "Hyperband" and not settings.train.epochs:
        raise SettingsError(
            "tune.strategy Hyperband shares out epochs among trials, and train.epochs does not say how many",
            "Set train.epochs, as in --set train.epochs=12.",
        )
    return space


def tune(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    data: StoredData,
    features: FeatureChannel | None,
    reporter: Reporter,
    step: Step,
    *,
    again: bool = False,
    anyway: bool = False,
) -> Tuning:
    """The best of the trials that the settings ask for; ``again`` searches anew even where that was done already.

    ``features`` is the channel of our own entry point with gear head. Raises StepFailed with AWS's FailureReason and
    the first failed trial's where the tuning fails, and where the best trial only guesses unless ``anyway``.
    """
    options = settings.tune
    space = space_of(settings)
    code = find_code(options.entry_point, options.source_dir, "tune", clients.place)
    warn_of_script(
        code,
        reporter,
        instance_type=options.instance_type,
        instance_count=options.instance_count,
        distribution=settings.train.distribution,
        objective_regex=options.objective_regex,
        tuned=tuple(entry.name for entry in space),
    )
    searched = {entry.name for entry in space}
    statics = {name: value for name, value in told(settings.train, ours=code.ours).items() if name not in searched}
    plan = job_plan(
        settings,
        code,
        data,
        features if uses_features(settings, code) else None,
        clients.region,
        statics,
        instance_type=options.instance_type,
        instance_count=options.instance_count,
    )
    digest = tuning_digest(plan, options, space)
    wanted = combinations(space) if options.strategy == "Grid" else options.max_jobs
    with aws_step("tune"):
        name, how = find_tuning(clients, names, digest, again)
        request = _request(clients, names, settings, plan, space, code, name) if how == "made" else {}
        with _telling_interruption(name):
            if request:
                create = clients.sagemaker.create_hyper_parameter_tuning_job
                create_when_role_is_known(clients, lambda: create(**request))
            job, trials = wait_for_tuning(clients, name, options, wanted, reporter, quiet=how == "earlier")
        tuning = completed_tuning(job, trials, ours=code.ours)
        verdict = _verdict(clients, tuning, options, data)
    for trial in failures(trials):
        reporter.note(f"trial {trial.number} failed: {trial.reason}  (`sagehound logs {trial.job_name}`)")
    _tell(tuning, job, options, verdict, how, step)
    if verdict.guesses is None:
        reporter.note(f"whether the best trial is better than guessing cannot be judged: {verdict.text}")
    if verdict.guesses and not anyway:
        raise StepFailed(
            "tune",
            f"the best of {len(trials)} trials is at chance level ({verdict.text}): the search found nothing",
            "Search other ranges (tune.ranges), or check the script's objective; --anyway goes on with it.",
        )
    if verdict.guesses:
        reporter.note(f"the best of {len(trials)} trials is at chance level ({verdict.text}): the search found nothing")
    return tuning


def _request(
    clients: Clients, names: Names, settings: PipelineSettings, plan: JobPlan, space: Space, code: Code, name: str
) -> dict[str, Any]:
    """CreateHyperParameterTuningJob's parameters, once all that they name is there."""
    return tuning_request(
        plan,
        settings.tune,
        space,
        name,
        names,
        clients.region,
        role_arn=ensure_role(clients, names, "tune"),
        code_uri=ship(clients, names, code.bundle),
        parent=latest_tuning(clients, names) if settings.tune.warm_start == "previous" else None,
    )


def _telling_interruption(name: str) -> AbstractContextManager[None]:
    return telling_interruption(
        "tune",
        f"tuning job {name} goes on",
        f"`sagehound tune` waits for it again, `sagehound logs {name}` shows it, `sagehound delete` stops it.",
    )


def _verdict(clients: Clients, tuning: Tuning, options: TuneSettings, data: StoredData) -> Verdict:
    """Whether the best trial only guesses, from its objective and what else it reported of the validation split."""
    best = clients.sagemaker.describe_training_job(TrainingJobName=tuning.best_job)
    metrics = {metric["MetricName"]: float(metric["Value"]) for metric in best.get("FinalMetricDataList", [])}
    judged = {**validation_metrics(metrics), options.objective: tuning.value}
    return judge(judged, len(data.classes), data.counts.get("valid", 0))


def _tell(
    tuning: Tuning, job: Mapping[str, Any], options: TuneSettings, verdict: Verdict, how: str, step: Step
) -> None:
    best = next(trial for trial in tuning.trials if trial.job_name == tuning.best_job)
    tried = ", ".join(f"{name} {text}" for name, text in best.shown.items())
    end = job.get("HyperParameterTuningEndTime") or job["LastModifiedTime"]
    seconds = (end - job["CreationTime"]).total_seconds()
    earlier = "earlier" if how == "earlier" else f"{how} in {seconds:.1f} s"
    step.done(
        f"{tuning.name}  best of {len(tuning.trials)} trials: {options.objective} {tuning.value:.4f} with {tried}  "
        f"({earlier})",
        tuning_job_name=tuning.name,
        best_job_name=tuning.best_job,
        hyperparameters=tuning.hyperparameters,
        objective=options.objective,
        value=tuning.value,
        at_chance=verdict.guesses,
        meaning=verdict.text,
        trials=len(tuning.trials),
        reused=how != "made",
        tuning_seconds=seconds,
    )
