"""PutMetricAlarm's members checked in AWS's words, and brought into the form of a MetricAlarm."""

from __future__ import annotations

import math
from typing import Any

from sagehound.localcloud.errors import not_implemented
from sagehound.localcloud.scaling.alarm import (
    ALARM,
    BREACHING,
    COMPARISONS,
    IGNORE,
    INSUFFICIENT_DATA,
    MISSING,
    NOT_BREACHING,
    OK,
    AlarmRule,
)
from sagehound.localcloud.services.cloudwatch.alarm_math import check_metrics, period_of
from sagehound.localcloud.services.cloudwatch.errors import invalid_query
from sagehound.localcloud.services.cloudwatch.periods import check_percentile
from sagehound.localcloud.services.cloudwatch.tables import DAY, HOUR

SHORT_PERIODS = (10, 20, 30)
_NOT_IMPLEMENTED = (
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
)
ACTIONS = {OK: "OKActions", ALARM: "AlarmActions", INSUFFICIENT_DATA: "InsufficientDataActions"}
"""The member that says what is done at the change to each state."""
_KEPT = (
    "Metrics",
    "AlarmDescription",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
)


def configuration_of(request: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a MetricAlarm out of a PutMetricAlarm request; ValidationError for what AWS refuses."""
    for member in _NOT_IMPLEMENTED:
        if member in request:
            raise not_implemented("cloudwatch", f"PutMetricAlarm with {member}")
    if "Metrics" in request:
        check_metrics(request)
    else:
        _check_metric(request)
    _check_threshold(request)
    _check_periods(request)
    _check_choices(request)
    for member in ACTIONS.values():
        for action in request.get(member, []):
            if not action.startswith("arn:"):
                raise invalid_query(f"Invalid arn syntax: {action}")
    return {
        "AlarmName": request["AlarmName"],
        "ActionsEnabled": request.get("ActionsEnabled", True),
        **{member: list(request.get(member, [])) for member in ACTIONS.values()},
        **{member: request[member] for member in _KEPT if member in request},
        "Dimensions": [dict(dimension) for dimension in request.get("Dimensions", [])],
    }


def rule_of(alarm: dict[str, Any]) -> AlarmRule:
    """What an alarm compares."""
    periods = alarm["EvaluationPeriods"]
    return AlarmRule(
        alarm["ComparisonOperator"],
        alarm["Threshold"],
        periods,
        alarm.get("DatapointsToAlarm", periods),
        alarm.get("TreatMissingData", MISSING),
        period_of(alarm),
    )


def _check_metric(request: dict[str, Any]) -> None:
    for member in ("MetricName", "Namespace", "Period"):
        if member not in request:
            raise invalid_query(f"{member} must not be null: an alarm watches one metric with one period.")
    if ("Statistic" in request) == ("ExtendedStatistic" in request):
        raise invalid_query("Exactly one of Statistic and ExtendedStatistic must be specified.")
    if "ExtendedStatistic" in request:
        check_percentile("PutMetricAlarm", request["ExtendedStatistic"], invalid_query)
    names = [dimension["Name"] for dimension in request.get("Dimensions", [])]
    if len(set(names)) < len(names):
        raise invalid_query("No dimension may be named twice.")


def _check_threshold(request: dict[str, Any]) -> None:
    for member in ("ComparisonOperator", "EvaluationPeriods"):
        if member not in request:
            raise invalid_query(f"{member} must not be null.")
    if request["ComparisonOperator"] not in COMPARISONS:
        operation = f"PutMetricAlarm with {request['ComparisonOperator']} (anomaly detection)"
        raise not_implemented("cloudwatch", operation)
    if "Threshold" not in request:
        raise invalid_query("Threshold must not be null: alarms on static thresholds compare with it.")
    if not math.isfinite(request["Threshold"]):
        raise invalid_query("Threshold must be a finite number.")


def _check_periods(request: dict[str, Any]) -> None:
    period, periods = period_of(request), request["EvaluationPeriods"]
    if period not in SHORT_PERIODS and period % 60:
        raise invalid_query("Period must be 10, 20, 30 or a multiple of 60.")
    days = 7 if period >= HOUR else 1
    if period * periods > days * DAY:
        raise invalid_query(
            "Metrics cannot be checked across more than "
            + ("seven days" if days == 7 else "a day")
            + f" (EvaluationPeriods * Period must be <= {days * DAY})."
        )
    if request.get("DatapointsToAlarm", periods) > periods:
        raise invalid_query("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")


def _check_choices(request: dict[str, Any]) -> None:
    treat = request.get("TreatMissingData", MISSING)
    if treat not in (MISSING, IGNORE, BREACHING, NOT_BREACHING):
        raise invalid_query(f"The value {treat} is not supported for TreatMissingData parameter.")
    low = request.get("EvaluateLowSampleCountPercentile", "evaluate")
    if low not in ("evaluate", "ignore"):
        raise invalid_query(f"Option {low} is not supported. Supported options are evaluate and ignore.")
    if "EvaluateLowSampleCountPercentile" in request and "ExtendedStatistic" not in request:
        raise invalid_query("EvaluateLowSampleCountPercentile is for alarms with a percentile in ExtendedStatistic.")
