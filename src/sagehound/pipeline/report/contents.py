"""All that a report holds, read through the AWS API before anything is drawn"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.summarising import summarise
from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.names import Names
from sagehound.pipeline.report.chance import count_classes
from sagehound.pipeline.report.class_names import readable
from sagehound.pipeline.report.comparison import Comparison, compare
from sagehound.pipeline.report.curves import Panel, curves_of
from sagehound.pipeline.report.documents import Predictions, SplitFigures
from sagehound.pipeline.report.findings import Finding, find
from sagehound.pipeline.report.function import FunctionReport, read_function
from sagehound.pipeline.report.jobs import JobReport, read_job
from sagehound.pipeline.report.mistakes import Pair, Wrong, most_wrong, pairs_without_pictures, worst_pairs
from sagehound.pipeline.report.thumbnails import thumbnails
from sagehound.pipeline.report.tuning import Tuning, read_tuning
from sagehound.pipeline.report.words import plural


@dataclass(frozen=True)
class Detail:
    """One model looked at closely: its figures on one split, its mistakes, and their pictures."""

    job: JobReport
    split: str
    figures: SplitFigures | None
    full_names: list[str]
    names: list[str]
    """Names as people read them, in the same order."""
    pairs: list[Pair]
    wrong: list[Wrong]
    pictures: dict[str, str]
    """Name of a picture -> data URI of its thumbnail."""


@dataclass(frozen=True)
class Contents:
    """What the page shows."""

    project: str
    data_uri: str
    target: str
    created: datetime
    clock: str
    """That the clock of the jobs' times was fast; empty where it was the real one."""
    classes: int
    rows: list[JobReport]
    """Features, tuning and trainings, in this order."""
    jobs: list[JobReport]
    panels: dict[str, list[Panel]]
    """Training job -> its curves."""
    tuning: Tuning | None
    comparison: Comparison | None
    findings: list[Finding]
    detail: Detail | None
    function: FunctionReport | None
    loads: Sequence[LoadResult]
    cost: CostSummary


def read_contents(
    clients: Clients,
    names: Names,
    *,
    data_uri: str,
    tuning_job: str | None,
    training_jobs: list[str],
    features_job: str | None,
    loads: Sequence[LoadResult] = (),
) -> Contents:
    """Read everything; raises botocore's ClientError for a job that is not there."""
    features = [read_job(clients, features_job, "features")] if features_job else []
    tuning = read_tuning(clients, tuning_job) if tuning_job else None
    jobs = [_training(clients, name) for name in training_jobs]
    classes = next((job.output.metrics.classes for job in jobs if job.output.metrics), 0)
    classes = classes or count_classes(clients, data_uri)
    comparison = compare(jobs, one_machine=clients.place.one_machine)
    rows = [*features, *([tuning.row()] if tuning else []), *jobs]
    return Contents(
        project=names.project,
        data_uri=data_uri,
        target=clients.place.name,
        created=datetime.now(UTC),
        clock=clients.clock.sentence_for(row.started for row in rows),
        classes=classes,
        rows=rows,
        jobs=jobs,
        panels={job.name: curves_of(clients, job) for job in jobs},
        tuning=tuning,
        comparison=comparison,
        findings=find([*features, *jobs], tuning, comparison, classes),
        detail=next((detail for job in jobs if (detail := _detail(clients, job, data_uri))), None),
        function=read_function(clients, names),
        loads=loads,
        cost=summarise(clients, names),
    )


def _training(clients: Clients, name: str) -> JobReport:
    job = read_job(clients, name, "training")
    return replace(job, role=f"training, {plural(job.instance_count, 'instance')}")


def _detail(clients: Clients, job: JobReport, data_uri: str) -> Detail | None:
    """A closer look at a job's model; None where it left neither figures by class nor predictions."""
    metrics, predictions = job.output.metrics, job.output.predictions
    splits = metrics.splits if metrics else {}
    split = next((name for name in ("test", "validation") if name in splits), predictions.split if predictions else "")
    figures = splits.get(split)
    if predictions is not None and predictions.split != split:
        predictions = None
    full = _class_names(figures, predictions)
    if not full:
        return None
    pairs, wrong = _mistakes(figures, predictions)
    wanted = [*(pair.wrong for pair in pairs), *(pair.example for pair in pairs), *(one.name for one in wrong)]
    pictures = thumbnails(clients, data_uri, split, wanted)
    return Detail(job, split, figures, full, readable(full), pairs, wrong, pictures)


def _class_names(figures: SplitFigures | None, predictions: Predictions | None) -> list[str]:
    if figures is not None and figures.per_class:
        return [row.name for row in figures.per_class]
    return predictions.classes if predictions is not None else []


def _mistakes(figures: SplitFigures | None, predictions: Predictions | None) -> tuple[list[Pair], list[Wrong]]:
    if predictions is not None:
        return worst_pairs(predictions), most_wrong(predictions)
    return (pairs_without_pictures(figures.confusion), []) if figures is not None else ([], [])
