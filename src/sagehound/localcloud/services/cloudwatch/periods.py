"""Stored values into data points: the periods that AWS allows and how it lines them up."""

from __future__ import annotations

from collections.abc import Callable

from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.cloudwatch.errors import invalid_value
from sagehound.localcloud.services.cloudwatch.statistic_set import STATISTICS, percentile_rank
from sagehound.localcloud.services.cloudwatch.tables import FOLDS

SHORT_PERIODS = (1, 5, 10, 20, 30)


def check_period(period: int) -> None:
    """Refuse what is no period of AWS's."""
    if period not in SHORT_PERIODS and period % 60:
        raise invalid_value("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")


def check_statistic(operation: str, name: str) -> None:
    """Refuse what is no statistic, and name those that we do not have."""
    if name not in STATISTICS:
        check_percentile(operation, name)


def check_percentile(operation: str, name: str, refusal: Callable[[str], AwsError] = invalid_value) -> None:
    """Refuse what is no percentile; of ExtendedStatistic(s) we have no others."""
    if percentile_rank(name) is not None:
        return
    if name.rstrip("0123456789.:%()")[:3].lower() in ("tm", "wm", "tc", "ts", "pr", "iqm"):
        raise not_implemented("cloudwatch", f"{operation} with the statistic {name}")
    raise refusal(f"The value {name} for parameter ExtendedStatistic is not supported.")


def first_period(start: float, period: int, now: float) -> int:
    """Where the first period begins: the start of the request rounded down, the more the older it is."""
    step = period if period in SHORT_PERIODS else 60
    for age, fold in FOLDS:
        if start < now - age:
            step = max(step, fold)
    return int(start // step * step)
