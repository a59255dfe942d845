"""When a tuning job is complete before its limits: pure rules over the values of its training jobs, in their order"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SIGNIFICANT = 0.01
"""An improvement of at most one percent is none, as AWS defines it."""
ATTEMPTS = 5
"""Training jobs that may come to nothing before the tuning job fails."""
_CONVERGED_JOBS = 20
_CONVERGED_SHARE = 0.5

_SEE = "For additional details, please take a look at the training job failures by listing training jobs for the "
ALL_FAILED = f"All training jobs failed. {_SEE}hyperparameter tuning job."
NONE_SUCCEEDED = f"No training job succeeded after {ATTEMPTS} attempts. {_SEE}hyperparameter tuning job."
NO_OBJECTIVE = (
    "No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is "
    "emitting the objective metric as defined by the regular expression provided."
)


def not_improving(values: Sequence[float], minimize: bool) -> int:
    """NumberOfTrainingJobsObjectiveNotImproving: the values since the last that improved the best by more than 1 %."""
    since, best = 0, None
    for value in values:
        gain = 0.0 if best is None else (best - value if minimize else value - best)
        if best is None or gain > SIGNIFICANT * abs(best):
            since, best = 0, value
        else:
            since += 1
    return since


def converged(values: Sequence[float], minimize: bool) -> bool:
    """ConvergenceDetected: there are twenty values, and the later half of them has improved nothing.

    AWS does not publish its own rule, only that it looks for a lack of significant improvement (1 % or less).
    """
    count = len(values)
    return count >= _CONVERGED_JOBS and not_improving(values, minimize) >= count * _CONVERGED_SHARE


def met(criteria: dict[str, Any], values: Sequence[float], minimize: bool) -> bool:
    """Whether one of TuningJobCompletionCriteria is met."""
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and any(value <= target if minimize else value >= target for value in values):
        return True
    limit = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    if limit is not None and not_improving(values, minimize) >= limit:
        return True
    enabled = criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled"
    return enabled and converged(values, minimize)


def failure(statuses: Sequence[str], succeeded: bool, last: bool) -> str | None:
    """Why the tuning job has failed, None when it has not.

    `statuses` are those of its ended training jobs, `succeeded` says that one of them has a value, `last` that no
    other follows.
    """
    if succeeded or not statuses or (len(statuses) < ATTEMPTS and not last):
        return None
    if any(status == "Completed" for status in statuses):
        return NO_OBJECTIVE.format(count=len(statuses))
    return NONE_SUCCEEDED if len(statuses) >= ATTEMPTS else ALL_FAILED
