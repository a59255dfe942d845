"""The schedule of an open loop: when each request is due, whatever became of the earlier ones"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from sagehound.pipeline.load.plan import LoadPlan

_ROUNDING = 1e-6
"""A number of requests that is above a whole one by less is that whole one."""


def arrivals(plan: LoadPlan) -> Iterator[float]:
    """Seconds from the begin at which requests are due, in order, until the plan's duration is over.

    The number that is due by a moment grows as the rate's integral: as t squared during the ramp, then as t. Constant
    arrivals are where it is whole; Poisson arrivals are where it has grown by exponentially distributed amounts.
    """
    generator = random.Random(plan.seed)
    poisson = plan.arrivals == "poisson"
    number = generator.expovariate(1.0) if poisson else 0.0
    while (due := _moment(plan, number)) < plan.duration:
        yield due
        number += generator.expovariate(1.0) if poisson else 1.0


def due_between(plan: LoadPlan, begin: float, end: float) -> int:
    """How many requests are due from the one at ``begin`` on until ``end``, by arithmetic; random ones: about so many.

    A rate that is far too high has more of them than can be counted one by one.
    """
    return max(1, math.ceil(_number(plan, end) - _number(plan, begin) - _ROUNDING))


def _number(plan: LoadPlan, moment: float) -> float:
    """How many requests are due by a moment: what ``_moment`` turns round."""
    if moment < plan.ramp:
        return plan.rate * moment**2 / (2 * plan.ramp)
    return plan.rate * (moment - plan.ramp / 2)


def _moment(plan: LoadPlan, number: float) -> float:
    """When ``number`` requests are due."""
    in_ramp = plan.rate * plan.ramp / 2
    if number < in_ramp:
        return math.sqrt(2 * number * plan.ramp / plan.rate)
    return plan.ramp / 2 + number / plan.rate
