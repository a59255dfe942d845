"""What CreateHyperParameterTuningJob refuses, when AWS refuses it and in AWS's words where they are known"""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.search import hyperband
from sagehound.localcloud.search.dimensions import RangeError
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.services.sagemaker.training_output import OBJECTIVE
from sagehound.localcloud.services.sagemaker.tuning_definitions import Definition, definitions, training_job

Job = dict[str, Any]

_MOST_HYPERPARAMETERS = 100


def check(request: Job) -> list[Job]:
    """Raise the error of the first thing that is wrong; otherwise a CreateTrainingJob request of each definition.

    What those requests would be refused for is the caller's to find out.
    """
    if request.get("Autotune"):
        raise AwsError("NotImplemented", "The local cloud's tuning jobs do not have Autotune: give ranges.", 501)
    config = request["HyperParameterTuningJobConfig"]
    found = definitions(request)
    names = [definition.name for definition in found]
    if len(set(names)) < len(names):
        raise validation(f"DefinitionName must be unique in TrainingJobDefinitions, got {', '.join(names)}.")
    spaces = [_space(definition) for definition in found]
    for definition in found:
        _check_names(definition)
        _check_objective(definition)
    _check_limits(config)
    _check_strategy(config, found)
    _check_sizes(config, spaces)
    return [_sample(request, definition, space) for definition, space in zip(found, spaces, strict=True)]


def _space(definition: Definition) -> Space:
    try:
        return Space.of(definition.ranges)
    except RangeError as reason:
        raise validation(str(reason)) from reason


def _check_names(definition: Definition) -> None:
    if OBJECTIVE in definition.tuned:
        raise validation(f"{OBJECTIVE} names the objective: it cannot be a tunable hyperparameter.")
    both = sorted({*definition.static} & {*definition.tuned})
    if both:
        raise validation(f"Hyperparameters cannot be both static and tunable: {', '.join(both)}.")
    count = len(definition.static) + len(definition.tuned)
    if count > _MOST_HYPERPARAMETERS:
        raise validation(
            f"A training job can have at most {_MOST_HYPERPARAMETERS} hyperparameters, static and tunable ones "
            f"together, and these are {count}."
        )


def _check_objective(definition: Definition) -> None:
    metrics = [metric["Name"] for metric in definition.body["AlgorithmSpecification"].get("MetricDefinitions", [])]
    if definition.objective["MetricName"] not in metrics:
        raise validation(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
            "definitions."
        )


def _check_limits(config: dict[str, Any]) -> None:
    limits = config["ResourceLimits"]
    most, parallel = limits.get("MaxNumberOfTrainingJobs"), limits["MaxParallelTrainingJobs"]
    if most is None:
        others = limits.get("MaxRuntimeInSeconds") or config.get("TuningJobCompletionCriteria")
        if config["Strategy"] != "Grid" and not others:
            raise validation(
                "MaxNumberOfTrainingJobs is required when neither MaxRuntimeInSeconds nor TuningJobCompletionCriteria "
                "ends the tuning job."
            )
    elif parallel > most:
        raise validation(
            f"The value of MaxParallelTrainingJobs, [{parallel}], must be less than or equal to the value of "
            f"MaxNumberOfTrainingJobs, [{most}]."
        )


def _check_strategy(config: dict[str, Any], found: list[Definition]) -> None:
    strategy = config["Strategy"]
    if config.get("StrategyConfig") and strategy != "Hyperband":
        raise validation(f"HyperbandStrategyConfig cannot be given with the {strategy} strategy.")
    if strategy == "Grid" and any(set(definition.tuned) - _categorical(definition) for definition in found):
        raise validation(
            "The Grid strategy supports only categorical hyperparameters: give CategoricalParameterRanges."
        )
    if strategy != "Hyperband":
        return
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise validation(
            "TrainingJobEarlyStoppingType must be Off for the Hyperband strategy, which stops training jobs itself."
        )
    for definition in found:
        try:
            hyperband.brackets(hyperband.resources(config.get("StrategyConfig", {}), definition.static), 0)
        except RangeError as reason:
            raise validation(str(reason)) from reason


def _categorical(definition: Definition) -> set[str]:
    return {entry["Name"] for entry in definition.ranges.get("CategoricalParameterRanges", [])}


def _check_sizes(config: dict[str, Any], spaces: list[Space]) -> None:
    """More training jobs than there are different ones; with Grid, another number than there are."""
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    sizes = [size for size in (space.grid_size() for space in spaces) if size is not None]
    if most is None or len(sizes) < len(spaces):
        return
    total = sum(sizes)
    if config["Strategy"] == "Grid" and most != total:
        raise validation(
            f"The value of MaxNumberOfTrainingJobs, [{most}], must be equal to the number of combinations of the "
            f"categorical hyperparameters, [{total}], when the strategy is Grid; it can be left out."
        )
    if most > total:
        raise validation(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            f"combinations for the provided ranges [{float(total)}] must be equal or greater than the value of "
            f"MaxNumberOfJobs, [{most}]. Provide additional ranges."
        )


def _sample(request: Job, definition: Definition, space: Space) -> Job:
    """A training job that this definition may start: all that is checked of one but the tuned values are in it."""
    lowest = space.texts(space.values([0.0] * len(space.dimensions)))
    return training_job(
        definition, child_name(request["HyperParameterTuningJobName"], 0, "0" * 8), lowest, request.get("Tags", [])
    )


def child_name(tuning: str, sequence: int, suffix: str) -> str:
    """TUNING-NNN-8HEX, the name of a tuning job's training job."""
    return f"{tuning}-{sequence + 1:03}-{suffix}"
