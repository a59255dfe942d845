"""metrics.json and predictions.json of a training, checked as anything from outside"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

METRICS, PREDICTIONS = "metrics.json", "predictions.json"


class DamagedOutput(ValueError):
    """A file of a job's output is not what it should be; the text says which and why."""


@dataclass(frozen=True)
class Bin:
    """One bin of the calibration: predictions with a confidence in [low, high]."""

    low: float
    high: float
    pictures: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ClassFigures:
    """How well one class was recognised; recall and precision are None where nothing was to be divided."""

    name: str
    pictures: int
    right: int
    recall: float | None
    precision: float | None
    confused_with: str


@dataclass(frozen=True)
class SplitFigures:
    """The final figures on one split."""

    pictures: int
    loss: float
    accuracy: float
    top5: float
    confusion: list[list[int]]
    per_class: list[ClassFigures]
    ece: float | None
    bins: list[Bin]


@dataclass(frozen=True)
class Metrics:
    """metrics.json of a training."""

    classes: int
    hosts: int
    hyperparameters: dict[str, Any]
    history: list[dict[str, float]]
    splits: dict[str, SplitFigures]


@dataclass(frozen=True)
class Predictions:
    """predictions.json: the five likeliest classes of each picture, and what its true class got."""

    classes: list[str]
    split: str
    names: list[str]
    labels: list[int]
    top: list[list[int]]
    probabilities: list[list[float]]
    label_probability: list[float]


def parse_metrics(content: bytes) -> Metrics:
    """metrics.json; raises DamagedOutput."""
    try:
        found = json.loads(content)
        splits = {split: _split(found[split]) for split in ("validation", "test") if found.get(split)}
        return Metrics(
            classes=int(found["classes"]),
            hosts=int(found.get("hosts", 1)),
            hyperparameters=dict(found.get("hyperparameters") or {}),
            history=[{str(name): float(value) for name, value in record.items()} for record in found["history"]],
            splits=splits,
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise DamagedOutput(f"{METRICS} is not as expected ({type(error).__name__}: {error})") from error


def parse_predictions(content: bytes) -> Predictions:
    """predictions.json; raises DamagedOutput."""
    try:
        found = json.loads(content)
        read = Predictions(
            classes=[str(name) for name in found["classes"]],
            split=str(found["split"]),
            names=[str(name) for name in found["names"]],
            labels=[int(label) for label in found["labels"]],
            top=[[int(index) for index in row] for row in found["top"]],
            probabilities=[[_share(value) for value in row] for row in found["probabilities"]],
            label_probability=[_share(value) for value in found["label_probability"]],
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedOutput(f"{PREDICTIONS} is not as expected ({type(error).__name__}: {error})") from error
    columns = (read.labels, read.top, read.probabilities, read.label_probability)
    if any(len(column) != len(read.names) for column in columns):
        raise DamagedOutput(f"{PREDICTIONS} has {len(read.names)} names, and not as many of each other thing")
    if any(not row or len(row) != len(odds) for row, odds in zip(read.top, read.probabilities, strict=True)):
        raise DamagedOutput(f"{PREDICTIONS} has a picture without as many probabilities as guesses")
    indexes = {*read.labels, *(index for row in read.top for index in row)}
    if indexes and not 0 <= min(indexes) <= max(indexes) < len(read.classes):
        raise DamagedOutput(f"{PREDICTIONS} names a class beyond its {len(read.classes)} classes")
    return read


def _split(found: dict[str, Any]) -> SplitFigures:
    calibration = found.get("calibration") or {}
    counts = [[int(count) for count in row] for row in found.get("confusion") or []]
    if any(len(row) != len(counts) for row in counts):
        raise ValueError("the confusion matrix is not square")
    per_class = [_class(row) for row in found.get("per_class") or []]
    if counts and len(per_class) != len(counts):
        raise ValueError("the confusion matrix and the classes differ in number")
    return SplitFigures(
        pictures=int(found["pictures"]),
        loss=float(found["loss"]),
        accuracy=float(found["accuracy"]),
        top5=float(found["top5"]),
        confusion=counts,
        per_class=per_class,
        ece=None if calibration.get("ece") is None else _share(calibration["ece"]),
        bins=[_bin(row) for row in calibration.get("bins") or []],
    )


def _class(row: dict[str, Any]) -> ClassFigures:
    return ClassFigures(
        name=str(row["class"]),
        pictures=int(row["pictures"]),
        right=int(row["right"]),
        recall=None if row.get("recall") is None else _share(row["recall"]),
        precision=None if row.get("precision") is None else _share(row["precision"]),
        confused_with=str(row.get("most_confused_with") or ""),
    )


def _bin(row: dict[str, Any]) -> Bin:
    # An empty bin has no mean: whatever stands there is not looked at.
    pictures = int(row["pictures"])
    confidence, accuracy = (_share(row[name]) if pictures else 0.0 for name in ("confidence", "accuracy"))
    return Bin(_share(row["low"]), _share(row["high"]), pictures, confidence, accuracy)


def _share(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or not -1e-6 <= number <= 1 + 1e-6:
        raise ValueError(f"{value!r} is no probability")
    return min(max(number, 0.0), 1.0)
