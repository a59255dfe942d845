"""What CreateHyperParameterTuningJob is asked, in the shape that the SageMaker SDK sends.

Pure functions; `tune.py` sends the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagehound.classifier.metrics import METRIC_DEFINITIONS, METRIC_NAMES
from sagehound.errors import SettingsError
from sagehound.pipeline.names import Names, digest_of
from sagehound.pipeline.search_space import Space, combinations, parameter_ranges
from sagehound.pipeline.training_request import JobPlan, definition, encoded, resources, script_mode
from sagehound.settings import TuneSettings

# By these the SDK's HyperparameterTuner.attach and best_estimator know which class of theirs a trial is.
_SDK_CLASS = {"sagemaker_estimator_class_name": "PyTorch", "sagemaker_estimator_module": "sagemaker.pytorch.estimator"}


def check_tuning(tune: TuneSettings, space: Space, *, ours: bool) -> None:
    """Raise SettingsError, naming the key, for settings of a tuning that do not fit together."""
    if not space:
        raise SettingsError("tune.ranges is empty: there is nothing to search", "Name what is searched, as init does.")
    jobs = combinations(space) if tune.strategy == "Grid" else tune.max_jobs
    if tune.max_parallel_jobs > jobs:
        raise SettingsError(
            f"tune.max_parallel_jobs {tune.max_parallel_jobs} is above the {jobs} trials of the tuning",
            "Lower it, or raise tune.max_jobs.",
        )
    if tune.strategy == "Hyperband" and tune.early_stopping == "Auto":
        raise SettingsError(
            "tune.early_stopping Auto does not go with tune.strategy Hyperband, which stops trials by itself",
            'Set tune.early_stopping = "Off".',
        )
    if ours:
        _check_our_objective(tune)
    objective_definitions(tune, ours=ours)


def objective_definitions(tune: TuneSettings, *, ours: bool) -> tuple[Mapping[str, str], ...]:
    """MetricDefinitions of a job: our metrics, or the objective of the person's own script.

    Raises SettingsError for an objective that nothing would read.
    """
    if ours or (tune.objective in METRIC_NAMES and not tune.objective_regex):
        return tuple(METRIC_DEFINITIONS)
    if not tune.objective_regex:
        raise SettingsError(
            f"tune.objective {tune.objective!r} of your own script needs tune.objective_regex",
            "Give the expression that reads it from the log, as in tune.objective_regex = 'Testing Loss: ([0-9\\.]+)'.",
        )
    try:
        groups = re.compile(tune.objective_regex).groups
    except re.error as error:
        raise SettingsError(f"tune.objective_regex is no regular expression: {error}", "Correct it.") from error
    if groups < 1:
        raise SettingsError(
            f"tune.objective_regex {tune.objective_regex!r} has no group",
            "Put parentheses around the number, as in 'Testing Loss: ([0-9\\.]+)'.",
        )
    return ({"Name": tune.objective, "Regex": tune.objective_regex},)


def tuning_digest(plan: JobPlan, tune: TuneSettings, space: Space) -> str:
    """Equal for two tunings that would try the same: the trials' job, the ranges, and how they are searched."""
    return digest_of(
        {
            "job": plan.digest(),
            "ranges": parameter_ranges(space),
            "strategy": tune.strategy,
            "max_jobs": tune.max_jobs,
            # Which trials a search has seen when it chooses the next depends on how many run at once.
            "max_parallel_jobs": tune.max_parallel_jobs,
            "objective": [tune.objective, tune.objective_type],
            "early_stopping": tune.early_stopping,
            "seed": tune.seed,
            "warm_start": tune.warm_start,
        }
    )


def tuning_request(
    plan: JobPlan,
    tune: TuneSettings,
    space: Space,
    name: str,
    names: Names,
    region: str,
    *,
    role_arn: str,
    code_uri: str,
    parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The parameters of CreateHyperParameterTuningJob; ``parent`` is the described tuning job to begin with."""
    statics = {**plan.hyperparameters, **script_mode(plan, code_uri, name, region), **_SDK_CLASS}
    trial = definition(plan, names, role_arn=role_arn)
    request: dict[str, Any] = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": _config(plan, tune, space),
        "TrainingJobDefinition": {
            **trial,
            "StaticHyperParameters": encoded(statics),
            "HyperParameterTuningResourceConfig": resources(plan, names),
        },
        "Tags": names.tags,
    }
    if plan.spot:
        # AWS keeps the checkpoints of each trial below the name of its training job.
        request["TrainingJobDefinition"]["CheckpointConfig"] = {"S3Uri": names.checkpoint_uri(name)}
    if parent is not None:
        request["WarmStartConfig"] = {
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": parent["HyperParameterTuningJobName"]},
            ],
            "WarmStartType": _warm_start_type(parent["TrainingJobDefinition"], trial),
        }
    return request


def _config(plan: JobPlan, tune: TuneSettings, space: Space) -> dict[str, Any]:
    limits = {"MaxParallelTrainingJobs": tune.max_parallel_jobs}
    if tune.strategy != "Grid":  # a grid's number of trials is that of its combinations
        limits["MaxNumberOfTrainingJobs"] = tune.max_jobs
    config: dict[str, Any] = {
        "Strategy": tune.strategy,
        "ResourceLimits": limits,
        "TrainingJobEarlyStoppingType": tune.early_stopping,
        "HyperParameterTuningJobObjective": {"Type": tune.objective_type, "MetricName": tune.objective},
        "ParameterRanges": parameter_ranges(space),
        "RandomSeed": tune.seed,
    }
    epochs = plan.hyperparameters.get("epochs")
    if tune.strategy == "Hyperband" and isinstance(epochs, int):
        resource = {"MinResource": 1, "MaxResource": epochs}
        config["StrategyConfig"] = {"HyperbandStrategyConfig": resource}
    return config


def _warm_start_type(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """IdenticalDataAndAlgorithm where the parent read the same inputs in the same container."""

    def compared(one: Mapping[str, Any]) -> tuple[Any, ...]:
        inputs = [
            (channel["ChannelName"], channel["DataSource"]["S3DataSource"]["S3Uri"])
            for channel in one.get("InputDataConfig", [])
        ]
        return one["AlgorithmSpecification"].get("TrainingImage"), sorted(inputs)

    return "IdenticalDataAndAlgorithm" if compared(before) == compared(now) else "TransferLearning"


def _check_our_objective(tune: TuneSettings) -> None:
    fitting = [name for name in METRIC_NAMES if name.startswith("validation:")]
    if tune.objective not in fitting:
        raise SettingsError(
            f"tune.objective {tune.objective!r} is nothing that trials of hpo.py report: the test split stays unseen",
            f"It is one of: {', '.join(fitting)}.",
        )
    better = "Minimize" if tune.objective.endswith("loss") else "Maximize"
    if tune.objective_type != better:
        raise SettingsError(
            f"tune.objective_type {tune.objective_type} would choose the worst trial by {tune.objective}",
            f'Set tune.objective_type = "{better}".',
        )
