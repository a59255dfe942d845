"""The chance level: what an objective is worth where nothing was learned"""

from __future__ import annotations

import math

from sagehound.pipeline.chance import Verdict, accuracy_of_guessing, judge, validation_metrics
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.report.tuning import Tuning


def chance_level(metric: str, classes: int) -> float | None:
    """ln(classes) for a loss per picture (cross entropy of equal odds), 1/classes for an accuracy, else None."""
    name = metric.lower()
    if classes < 2:
        return None
    if "loss" in name:
        return math.log(classes)
    if "top5" in name or "top-5" in name:
        return min(1.0, 5 / classes)
    return 1 / classes if "acc" in name else None


def verdict_of_best(tuning: Tuning, classes: int, pictures: int = 0) -> Verdict | None:
    """Whether the best trial only guesses, judged as the tuning step does; None where there is nothing to judge.

    ``pictures`` are those of the validation split (0: not known).
    """
    best = tuning.best
    if best is None or best.objective is None or classes < 2 or chance_level(tuning.objective, classes) is None:
        return None
    return judge({**validation_metrics(best.metrics), tuning.objective: best.objective}, classes, pictures)


def share_is_chance(accuracy: float, classes: int, pictures: int) -> bool:
    """Whether an accuracy on so many pictures is no better than guessing."""
    return classes >= 2 and accuracy <= accuracy_of_guessing(classes, pictures)


def count_classes(clients: Clients, data_uri: str) -> int:
    """Folders below train/ of the pictures in S3; 0 where there are none."""
    bucket, _, prefix = data_uri.removeprefix("s3://").partition("/")
    pages = clients.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"{prefix.rstrip('/')}/train/", Delimiter="/"
    )
    return sum(len(page.get("CommonPrefixes", [])) for page in pages)
