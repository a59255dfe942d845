"""Early stopping Auto: the median rule that AWS documents for training jobs of a tuning job

The rule is that of "Stop Training Jobs Early" in the SageMaker Developer Guide
(https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html): after each epoch, take the
running average of the objective of every previous training job up to the same epoch; a job whose objective is worse
than the median of these averages is stopped.

The guide does not say how many previous jobs are needed; here it takes three that have ended with at least as many
values, because the median of fewer is one job's luck. A script that emits one value is never stopped: it has no epochs.
"""

from __future__ import annotations

import math
import statistics

from sagehound.localcloud.search.trial import STOPPED, SUCCEEDED, Trial

FEWEST_PREVIOUS = 3
_FIRST_EPOCH = 2
"""At the first value nobody knows yet whether there will be a second one, that is, whether values are epochs."""


def worse_than_median(trial: Trial, history: list[Trial], *, minimize: bool) -> bool:
    """Whether the median rule stops a running trial now, going by its latest value.

    Previous jobs are those of this tuning job that have ended by themselves or were stopped early; the jobs of a warm
    start's parents are not among them, because the guide speaks of the jobs that the tuning job launches.
    """
    epoch = len(trial.values)
    if epoch < _FIRST_EPOCH:
        return False
    averages = [
        statistics.fmean(other.values[:epoch])
        for other in history
        if 0 <= other.number != trial.number
        and other.state in (SUCCEEDED, STOPPED)
        and len(other.values) >= epoch
        and all(map(math.isfinite, other.values[:epoch]))
    ]
    if len(averages) < FEWEST_PREVIOUS:
        return False
    latest, median = trial.values[-1], statistics.median(averages)
    if math.isnan(latest):
        return True
    return latest > median if minimize else latest < median
