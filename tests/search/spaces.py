"""Spaces that the tests of the search share, written as AWS's ParameterRanges"""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.search.dimensions import Value
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.search.trial import Trial


def numeric(name: str, low: object, high: object, scaling: str | None = None) -> dict[str, Any]:
    """A continuous or an integer range."""
    found = {"Name": name, "MinValue": str(low), "MaxValue": str(high)}
    return {**found, "ScalingType": scaling} if scaling else found


def categories(name: str, *values: str) -> dict[str, Any]:
    """A categorical range."""
    return {"Name": name, "Values": list(values)}


BATCH_SIZES = categories("batch_size", "32", "64", "128", "256", "512")

HEAD = Space.of(
    {
        "ContinuousParameterRanges": [numeric("learning_rate", 0.001, 0.1)],
        "CategoricalParameterRanges": [BATCH_SIZES],
    }
)
"""The ranges of the write-up."""

SMALL = Space.of(
    {
        "IntegerParameterRanges": [numeric("layers", 1, 3)],
        "CategoricalParameterRanges": [categories("optimizer", "adam", "sgd"), categories("fixed", "yes")],
    }
)
"""Six points."""


def loss(values: dict[str, Value]) -> float:
    """A smooth objective on HEAD whose least value is at a learning rate of 0.02 and a batch size of 128."""
    rate, batch = float(values["learning_rate"]), float(values["batch_size"])
    return (rate / 0.02 - 1) ** 2 + abs(batch - 128) / 1000


def ended(number: int, values: dict[str, Value], value: float, *steps: float) -> Trial:
    """A trial that has ended by itself."""
    return Trial(number, values, "Succeeded", value, steps)
