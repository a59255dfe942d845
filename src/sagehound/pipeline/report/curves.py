"""The curves of a job: its history in metrics.json, or for scripts without one its metrics in CloudWatch"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.report.charts.curves import Curve
from sagehound.pipeline.report.jobs import JobReport

NAMESPACE = "/aws/sagemaker/TrainingJobs"
_KINDS = ("train", "validation", "test")
_MOST_OTHERS = 4


@dataclass(frozen=True)
class Panel:
    """One chart of a job: its title, its lines, and whether its values are shares of one."""

    title: str
    curves: list[Curve]
    percent: bool
    x_title: str


def curves_of(clients: Clients, job: JobReport) -> list[Panel]:
    """Loss and accuracy by epoch where the job left a history, else whatever its metrics are, by seconds."""
    if job.output.metrics is not None and job.output.metrics.history:
        return panels_of(_history(job.output.metrics.history), "epoch")
    return panels_of(_cloudwatch(clients, job), "seconds")


def panels_of(series: dict[str, list[tuple[float, float]]], x_title: str) -> list[Panel]:
    """Charts for named series: all losses in one, all accuracies in one, each other metric in its own."""
    grouped: dict[str, list[Curve]] = defaultdict(list)
    for name, points in series.items():
        group = _group(name)
        if points and group is not None:
            grouped[group].append(Curve(_short(name, group), _kind(name), tuple(points)))
    known = [title for title in ("loss", "accuracy") if title in grouped]
    others = [title for title in grouped if title not in known][:_MOST_OTHERS]
    return [Panel(title, grouped[title], _are_shares(title, grouped[title]), x_title) for title in (*known, *others)]


def _group(name: str) -> str | None:
    lowered = name.lower()
    if "top5" in lowered or "top-5" in lowered:
        return None  # near one from the first epoch on: it would flatten the accuracy
    if "loss" in lowered:
        return "loss"
    return "accuracy" if "acc" in lowered else name


def _short(name: str, group: str) -> str:
    """train:loss in the chart of losses is train; a stranger's name stays whole."""
    split, colon, figure = name.partition(":")
    return split if colon and figure == group else name


def _kind(name: str) -> str:
    lowered = name.lower()
    if "val" in lowered:
        return "validation"
    return next((kind for kind in _KINDS if kind in lowered), "other")


def _are_shares(title: str, curves: list[Curve]) -> bool:
    # Some scripts print an accuracy in per cent.
    return title == "accuracy" and all(0 <= value <= 1 for curve in curves for _, value in curve.points)


def _history(records: list[dict[str, float]]) -> dict[str, list[tuple[float, float]]]:
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number, record in enumerate(records, 1):
        for name, value in record.items():
            if ":" in name:
                series[name].append((float(number), value))
    return dict(series)


def _cloudwatch(clients: Clients, job: JobReport) -> dict[str, list[tuple[float, float]]]:
    if job.started is None or not job.definitions:
        return {}
    period = clients.place.job_metric_seconds
    begin = job.started - timedelta(seconds=period)
    end = (job.ended or datetime.now(UTC)) + timedelta(minutes=2)
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": name,
                    "Dimensions": [{"Name": "TrainingJobName", "Value": job.name}],
                },
                "Period": period,
                "Stat": "Average",
            },
        }
        for number, name in enumerate(job.definitions)
    ]
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    pages = (
        clients.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=begin, EndTime=end, ScanBy="TimestampAscending")
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            name = job.definitions[int(result["Id"][1:])]
            for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                series[name].append((max(0.0, (moment - job.started).total_seconds()), float(value)))
    return {name: _ended(sorted(points), job.final.get(name)) for name, points in series.items()}


def _ended(points: list[tuple[float, float]], last: float | None) -> list[tuple[float, float]]:
    """The curve with its last point at the metric's last value: a period holds the mean of what was printed in it."""
    return points if last is None else [*points[:-1], (points[-1][0], last)]
