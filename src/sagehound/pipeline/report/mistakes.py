"""The mistakes worth looking at: the worst pairs of classes, and the pictures that the model got most wrong"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sagehound.pipeline.report.documents import Predictions

PAIRS = 12
MOST_WRONG = 20
_GUESSES = 3


@dataclass(frozen=True)
class Pair:
    """A class that is taken for another: how often, one wrong picture, and one of what it was taken for."""

    true: int
    taken_for: int
    count: int
    pictures: int
    """Pictures of the true class."""
    wrong: str
    wrong_probability: float
    example: str
    """Name of a picture of the class it was taken for; empty where the split has none."""


@dataclass(frozen=True)
class Wrong:
    """A picture whose true class got little: the likeliest classes with their probabilities."""

    name: str
    true: int
    probability: float
    guesses: list[tuple[int, float]]


def worst_pairs(predictions: Predictions, count: int = PAIRS) -> list[Pair]:
    """The pairs with most mistakes, then with the larger share of their class; a pair's surest mistake shows it."""
    labels, first = predictions.labels, [row[0] for row in predictions.top]
    totals = Counter(labels)
    mistakes = Counter((true, taken) for true, taken in zip(labels, first, strict=True) if true != taken)
    surest: dict[tuple[int, int], tuple[float, str]] = {}
    examples: dict[int, tuple[float, str]] = {}
    rows = zip(predictions.names, labels, first, predictions.probabilities, strict=True)
    for name, true, taken, odds in rows:
        if true == taken:
            examples[true] = max(examples.get(true, (-1.0, "")), (odds[0], name))
        else:
            surest[true, taken] = max(surest.get((true, taken), (-1.0, "")), (odds[0], name))
    for name, true in zip(predictions.names, labels, strict=True):
        # Where no picture of a class was recognised, any one of it shows what it looks like.
        examples.setdefault(true, (0.0, name))
    ordered = sorted(mistakes.items(), key=lambda item: (-item[1], totals[item[0][0]], -surest[item[0]][0]))
    return [
        Pair(
            true=true,
            taken_for=taken,
            count=number,
            pictures=totals[true],
            wrong=surest[true, taken][1],
            wrong_probability=surest[true, taken][0],
            example=examples.get(taken, (0.0, ""))[1],
        )
        for (true, taken), number in ordered[:count]
    ]


def most_wrong(predictions: Predictions, count: int = MOST_WRONG) -> list[Wrong]:
    """The wrong pictures whose true class got the least probability."""
    order = sorted(range(len(predictions.names)), key=lambda index: predictions.label_probability[index])
    wrong = [index for index in order if predictions.top[index][0] != predictions.labels[index]]
    return [
        Wrong(
            name=predictions.names[index],
            true=predictions.labels[index],
            probability=predictions.label_probability[index],
            guesses=list(
                zip(predictions.top[index][:_GUESSES], predictions.probabilities[index][:_GUESSES], strict=True)
            ),
        )
        for index in wrong[:count]
    ]


def pairs_without_pictures(counts: list[list[int]], count: int = PAIRS) -> list[Pair]:
    """The worst pairs of a confusion matrix [classes][classes], for jobs that left no predictions."""
    found = [
        Pair(true, taken, number, sum(row), "", 0.0, "")
        for true, row in enumerate(counts)
        for taken, number in enumerate(row)
        if number and true != taken
    ]
    return sorted(found, key=lambda pair: (-pair.count, pair.pictures))[:count]
