"""Findings: what a careful reader would notice in the figures, said in sentences"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sagehound.pipeline.report.chance import share_is_chance, verdict_of_best
from sagehound.pipeline.report.charts.scales import short
from sagehound.pipeline.report.comparison import Comparison
from sagehound.pipeline.report.jobs import JobReport
from sagehound.pipeline.report.tuning import Hyperparameter, Trial, Tuning
from sagehound.pipeline.report.words import percent

ERROR, WARNING, NOTE = "error", "warning", "note"
_ORDER = (ERROR, WARNING, NOTE)
_UNCALIBRATED = 0.08
_RISEN = 1.05
_EDGE = 0.02
_FEW_VALUED = 4


@dataclass(frozen=True)
class Finding:
    """A sentence, and how much it matters: error (do not use this), warning, note."""

    severity: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """Both for machines (``--json``)."""
        return {"severity": self.severity, "text": self.text}


def find(jobs: list[JobReport], tuning: Tuning | None, comparison: Comparison | None, classes: int) -> list[Finding]:
    """All findings, the gravest first."""
    found: list[Finding] = []
    if tuning is not None:
        found += _of_tuning(tuning, classes, _validation_pictures(jobs))
    for job in jobs:
        found += _of_job(job, classes)
    if comparison is not None:
        grave = comparison.several.independent_copies or comparison.time_ratio >= 1
        sentence = comparison.sentence()
        text = f"{sentence[0].upper()}{sentence[1:]}. {comparison.explanation()}"
        found.append(Finding(WARNING if grave else NOTE, text))
        if different := _different_hyperparameters(comparison):
            found.append(
                Finding(
                    WARNING,
                    f"The trainings of one and of {comparison.several.instance_count} instances are not the same "
                    f"training: they differ in {', '.join(different)}.",
                )
            )
    else:
        found += [
            Finding(WARNING, f"{job.instance_count} x the bill: this script is not distributed ({job.name}).")
            for job in jobs
            if job.independent_copies
        ]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))


def _different_hyperparameters(comparison: Comparison) -> list[str]:
    """What was not the same for one instance and for several; nothing where one of them left no metrics.json."""
    one, more = comparison.single.output.metrics, comparison.several.output.metrics
    if one is None or more is None:
        return []
    names = sorted({*one.hyperparameters, *more.hyperparameters})
    return [name for name in names if one.hyperparameters.get(name) != more.hyperparameters.get(name)]


def _validation_pictures(jobs: list[JobReport]) -> int:
    """How many pictures the validation split has, as far as a training says so; 0: not known."""
    found = (job.output.metrics.splits.get("validation") for job in jobs if job.output.metrics)
    return next((figures.pictures for figures in found if figures), 0)


def _of_tuning(tuning: Tuning, classes: int, pictures: int) -> Iterator[Finding]:
    best = tuning.best
    if tuning.status == "Failed":
        yield Finding(ERROR, f"The tuning job failed: {tuning.failure or 'no reason was given'}")
    if tuning.failed:
        first = tuning.failed[0]
        many = f"{len(tuning.failed)} of {len(tuning.trials)} trials failed"
        yield Finding(WARNING, f"{many}; {first.name}: {first.failure or 'no reason was given'}")
    silent = [trial for trial in tuning.trials if trial.objective is None and trial.status in ("Completed", "Stopped")]
    if silent:
        yield Finding(
            WARNING,
            f"{len(silent)} of {len(tuning.trials)} trials ended without a value of {tuning.objective}; the first is "
            f"{silent[0].name}: its log has no line that the metric's regex reads.",
        )
    if best is None or best.objective is None:
        if tuning.trials:
            yield Finding(ERROR, f"No trial has a value of {tuning.objective}: there is no best one.")
        return
    verdict = verdict_of_best(tuning, classes, pictures)
    if verdict is not None and verdict.guesses:
        yield Finding(
            ERROR,
            f"The best trial is at chance level: {verdict.text}. It learned nothing, or its objective is no figure "
            "per picture; do not deploy it.",
        )
    elif verdict is not None and verdict.guesses is None:
        yield Finding(WARNING, f"Whether the best trial is better than guessing cannot be judged: {verdict.text}.")
    if "test" in tuning.objective.lower() and not tuning.objective.lower().startswith("validation"):
        yield Finding(
            WARNING,
            f"The trials were chosen by {tuning.objective}: if that is measured on the test split, the test figures "
            "are better than they will be on new pictures. Choose on the validation split.",
        )
    valued = [trial for trial in tuning.trials if trial.objective is not None]
    if len(valued) >= _FEW_VALUED:
        yield from (finding for one in tuning.hyperparameters if (finding := _at_edge(one, best)))


def _at_edge(one: Hyperparameter, best: Trial) -> Finding | None:
    """The best value of a range lies at its end: better ones may lie beyond."""
    if one.limits is None or one.name not in best.values:
        return None
    try:
        value = float(best.values[one.name])
    except ValueError:
        return None
    low, high = one.limits
    if one.logarithmic and value > 0:
        share = _log_share(value, low, high)
    else:
        share = (value - low) / (high - low) if high > low else 0.5
    if _EDGE < share < 1 - _EDGE:
        return None
    end = "lower" if share <= _EDGE else "upper"
    return Finding(
        NOTE,
        f"The best {one.name}, {short(value)}, lies at the {end} end of its range "
        f"({short(low)} to {short(high)}): better values may lie beyond it.",
    )


def _log_share(value: float, low: float, high: float) -> float:
    return math.log(value / low) / math.log(high / low) if high > low else 0.5


def _of_job(job: JobReport, classes: int) -> Iterator[Finding]:
    if job.status == "Failed":
        yield Finding(ERROR, f"{job.label} failed: {job.failure or 'no reason was given'}")
    elif job.status not in ("Completed",):
        yield Finding(WARNING, f"{job.label} is {job.status}: its figures may be incomplete.")
    if job.damage:
        yield Finding(WARNING, f"{job.label}: its output cannot be read: {job.damage}")
    metrics = job.output.metrics
    if metrics is None:
        return
    split = "test" if "test" in metrics.splits else "validation"
    figures = metrics.splits.get(split)
    if figures is None:
        return
    if split == "validation":
        yield Finding(NOTE, f"{job.label} has no figures of a test split: those shown are of the validation split.")
    if share_is_chance(figures.accuracy, metrics.classes, figures.pictures):
        chance = percent(1 / metrics.classes)
        yield Finding(
            ERROR, f"{job.label} guesses: {split} top-1 is {percent(figures.accuracy)}, and chance is {chance}."
        )
    yield from _of_history(job.label, metrics.history)
    if figures.ece is not None and figures.ece > _UNCALIBRATED:
        confident = sum(entry.confidence * entry.pictures for entry in figures.bins) / max(figures.pictures, 1)
        which = "surer than it is right" if confident > figures.accuracy else "less sure than it is right"
        yield Finding(
            NOTE,
            f"{job.label} is {which}: {percent(confident)} sure on average, {percent(figures.accuracy)} right "
            f"(expected calibration error {figures.ece:.3f}).",
        )


def _of_history(name: str, history: list[dict[str, float]]) -> Iterator[Finding]:
    losses = [record["validation:loss"] for record in history if "validation:loss" in record]
    if len(losses) > 1 and losses[-1] > min(losses) * _RISEN:
        epoch = losses.index(min(losses)) + 1
        yield Finding(
            NOTE,
            f"{name}: the validation loss was lowest after epoch {epoch} of {len(losses)} ({min(losses):.3f}) "
            f"and rose to {losses[-1]:.3f}: fewer epochs, or more weight decay, may do better.",
        )
