"""The chance level: what an objective is worth where nothing was learned"""

from __future__ import annotations

import math

from sagehound.pipeline.clients import Clients

_LOSS_SHARE = 0.98
_ACCURACY_MARGIN = 0.02


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


def at_chance(metric: str, value: float, classes: int) -> bool:
    """Whether a metric's best value is no better than guessing."""
    level = chance_level(metric, classes)
    if level is None:
        return False
    if "loss" in metric.lower():
        return value >= _LOSS_SHARE * level
    # A value above one is an accuracy in per cent.
    share = value / 100 if value > 1 else value
    return share <= level + _ACCURACY_MARGIN * (1 - level)


def count_classes(clients: Clients, data_uri: str) -> int:
    """Folders below train/ of the pictures in S3; 0 where there are none."""
    bucket, _, prefix = data_uri.removeprefix("s3://").partition("/")
    pages = clients.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"{prefix.rstrip('/')}/train/", Delimiter="/"
    )
    return sum(len(page.get("CommonPrefixes", [])) for page in pages)
