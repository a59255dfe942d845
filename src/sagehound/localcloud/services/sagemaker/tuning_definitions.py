"""What a tuning job's request means: its definitions, their objectives and ranges, and their training jobs"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.sagemaker.training_output import OBJECTIVE

Job = dict[str, Any]
Request = dict[str, Any]

RANGES = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
_OF_TRAINING = (
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)
"""Members that a definition has in common with CreateTrainingJob."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One TrainingJobDefinition with its objective and its ranges, wherever the request has them."""

    name: str
    """Empty where the only definition has none."""
    body: dict[str, Any]
    objective: dict[str, str]
    ranges: dict[str, Any]

    @property
    def minimize(self) -> bool:
        """Whether the smallest value of the objective is the best."""
        return self.objective["Type"] == "Minimize"

    @property
    def static(self) -> dict[str, str]:
        """StaticHyperParameters without the name of the objective, which Describe tells among them."""
        given = self.body.get("StaticHyperParameters", {})
        return {name: value for name, value in given.items() if name != OBJECTIVE}

    @property
    def tuned(self) -> list[str]:
        """The names of the hyperparameters that have a range."""
        return [entry["Name"] for kind in RANGES for entry in self.ranges.get(kind, [])]


def definitions(request: Job) -> list[Definition]:
    """The definitions of a request, or of a tuning job as it is stored."""
    single, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
    if (single is None) == (several is None):
        raise validation("Provide exactly one of TrainingJobDefinition and TrainingJobDefinitions.")
    config = request["HyperParameterTuningJobConfig"]
    return [_definition(config, body, several is not None) for body in several or [single]]


def _definition(config: dict[str, Any], body: dict[str, Any], one_of_several: bool) -> Definition:
    name = body.get("DefinitionName", "")
    if one_of_several:
        for member in ("DefinitionName", "TuningObjective", "HyperParameterRanges"):
            if not body.get(member):
                raise validation(f"{member} is required in each of TrainingJobDefinitions.")
        for member in ("HyperParameterTuningJobObjective", "ParameterRanges"):
            if config.get(member):
                raise validation(
                    f"{member} cannot be given together with TrainingJobDefinitions: each definition has its own."
                )
    objective = _one(config, "HyperParameterTuningJobObjective", body, "TuningObjective")
    ranges = _one(config, "ParameterRanges", body, "HyperParameterRanges")
    return Definition(name, body, objective, ranges)


def _one(config: dict[str, Any], member: str, body: dict[str, Any], other: str) -> dict[str, Any]:
    """The value that a tuning job has in its configuration, or in its definition."""
    given = [part for part in (config.get(member), body.get(other)) if part]
    if not given:
        raise validation(f"HyperParameterTuningJobConfig.{member} is required.")
    if len(given) == 2:
        raise validation(f"{member} cannot be given together with TrainingJobDefinition.{other}.")
    found: dict[str, Any] = given[0]
    return found


def training_job(definition: Definition, name: str, tuned: dict[str, str], tags: list[dict[str, str]]) -> Request:
    """The CreateTrainingJob request of one trial."""
    body = definition.body
    request: Request = {member: body[member] for member in _OF_TRAINING if member in body}
    objective = {OBJECTIVE: definition.objective["MetricName"]}
    request |= {
        "TrainingJobName": name,
        "HyperParameters": {**definition.static, **tuned, **objective},
        "AlgorithmSpecification": body["AlgorithmSpecification"],
        "ResourceConfig": resource_config(body),
    }
    if "CheckpointConfig" in body:
        # A folder for each training job: a trial that went on from another's checkpoint would not be a trial.
        uri = body["CheckpointConfig"]["S3Uri"].rstrip("/")
        request["CheckpointConfig"] = {**body["CheckpointConfig"], "S3Uri": f"{uri}/{name}"}
    if tags:
        request["Tags"] = tags
    return request


def resource_config(body: dict[str, Any]) -> dict[str, Any]:
    """ResourceConfig of the training jobs; of several InstanceConfigs it is the first, which is always to be had."""
    own = body.get("HyperParameterTuningResourceConfig")
    given: dict[str, Any] | None = body.get("ResourceConfig")
    if own is None:
        if given is None:
            raise validation("ResourceConfig or HyperParameterTuningResourceConfig is required.")
        return given
    if given is not None:
        raise validation("ResourceConfig cannot be given together with HyperParameterTuningResourceConfig.")
    config = {member: value for member, value in own.items() if member not in ("InstanceConfigs", "AllocationStrategy")}
    if own.get("InstanceConfigs"):
        for member in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
            if member in own:
                raise validation(f"{member} cannot be given together with InstanceConfigs.")
        config |= own["InstanceConfigs"][0]
    return config


def described(body: dict[str, Any]) -> dict[str, Any]:
    """A definition as Describe tells it: ResourceConfig is there too when the tuning's own form asks for one type.

    HyperparameterTuner.attach() of SDK v2 reads it, whose fit() sends nothing but the tuning's own form.
    """
    if "InstanceType" not in body.get("HyperParameterTuningResourceConfig", {}):
        return body
    return {**body, "ResourceConfig": resource_config(body)}
