"""Warm start: what a tuning job takes over from its parents, and what it refuses of them"""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.services.sagemaker import tuning_status
from sagehound.localcloud.services.sagemaker.tuning_definitions import Definition, definitions
from sagehound.localcloud.services.sagemaker.tuning_records import JOBS, Child, Job, TuningRecord
from sagehound.localcloud.state.store import Store

IDENTICAL = "IdenticalDataAndAlgorithm"
_STRATEGIES = ("Bayesian", "Random")
_MOST_TRIALS = 500
_NAMES_DIFFER = (
    "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs. "
    "Please ensure this set is constant when warm starting. Note that previously static HyperParameters can be tuned "
    "in warm start jobs and vice versa."
)

Past = dict[str, Any]
"""Parameters, Value and Stopped of a parent's trial."""


class WarmStart:
    """The parents of one request, as they are when it comes."""

    def __init__(self, request: Job, store: Store, region: str) -> None:
        self._config = request.get("WarmStartConfig") or {"ParentHyperParameterTuningJobs": [], "WarmStartType": ""}
        self._definitions = definitions(request)
        if self._config["WarmStartType"] and request["HyperParameterTuningJobConfig"]["Strategy"] not in _STRATEGIES:
            raise validation("Warm start is only supported with the Bayesian and the Random strategy.")
        names = [parent["HyperParameterTuningJobName"] for parent in self._config["ParentHyperParameterTuningJobs"]]
        if len(set(names)) < len(names):
            raise validation("ParentHyperParameterTuningJobs names the same hyperparameter tuning job twice.")
        self._parents = [(_parent(store, region, name), TuningRecord(store, region, name)) for name in names]
        for parent, _ in self._parents:
            self._check(parent)

    def history(self) -> list[list[Past]]:
        """For each definition the trials of the parents, oldest first, whose values its ranges contain."""
        return [self._past(definition) for definition in self._definitions]

    def best(self) -> list[Child]:
        """The best training job of the parents, if they have any with a value."""
        children = [
            {**child, "TuningJobName": record.name} for _, record in self._parents for child in record.children()
        ]
        found = tuning_status.best(children, self._definitions[0].objective["Type"])
        return [] if found is None else [found]

    def _past(self, definition: Definition) -> list[Past]:
        found, space = [], Space.of(definition.ranges)
        for parent, record in self._parents:
            theirs = definitions(parent)
            for child in record.children():
                before = theirs[child["DefinitionIndex"]]
                if "Value" not in child or before.name != definition.name:
                    continue
                values = space.parse({**before.static, **child["TunedHyperParameters"]})
                if values is not None:
                    stopped = child["TrainingJobStatus"] == "Stopped"
                    found.append({"Parameters": values, "Value": child["Value"], "Stopped": stopped})
        return found[-_MOST_TRIALS:]

    def _check(self, parent: Job) -> None:
        """Refuse a parent that is still running, or that has another objective, other names or other data."""
        name, status = parent["HyperParameterTuningJobName"], parent["HyperParameterTuningJobStatus"]
        if status not in tuning_status.ENDED:
            raise validation(
                f"The parent tuning job {name} is in status {status}: a parent must be in a terminal state."
            )
        theirs = {definition.name: definition for definition in definitions(parent)}
        for definition in self._definitions:
            before = theirs.get(definition.name)
            if before is None:
                raise validation(f"The parent tuning job {name} has no training job definition {definition.name!r}.")
            if before.objective != definition.objective:
                raise validation(
                    f"The objective metric of the parent tuning job {name} is {before.objective['MetricName']} "
                    f"({before.objective['Type']}): it must be the same for the current and the parent tuning jobs."
                )
            if {*before.static, *before.tuned} != {*definition.static, *definition.tuned}:
                raise validation(_NAMES_DIFFER)
            if self._config["WarmStartType"] == IDENTICAL and _data(before) != _data(definition):
                raise validation(
                    f"The training image and the input data of the parent tuning job {name} are not those of this "
                    f"one, which WarmStartType {IDENTICAL} asks for: use TransferLearning."
                )


def _parent(store: Store, region: str, name: str) -> Job:
    found = store.get(JOBS, region, name)
    if found is None:
        raise unknown(name)
    return found


def unknown(name: str) -> AwsError:
    """AWS's answer to the name of no tuning job."""
    return AwsError("ResourceNotFound", f"Amazon SageMaker can't find a tuning job called {name}. Type another name.")


def _data(definition: Definition) -> tuple[str, list[tuple[str, str]]]:
    """What makes data and algorithm identical: the image, and where each channel comes from."""
    channels = definition.body.get("InputDataConfig", [])
    sources = [(one["ChannelName"], one["DataSource"]["S3DataSource"]["S3Uri"]) for one in channels]
    return definition.body["AlgorithmSpecification"]["TrainingImage"], sorted(sources)
