"""Chance level: what guessing would reach, and whether a trained model is any better than that.

A model that gives every class the same score has a cross entropy of ln(classes) nats a picture and is right for one
picture in as many as there are classes. Public records of tuning runs have a "best" job at that level in a third of
the cases, because the objective was wrong; so nothing at that level is taken on without a person's word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

LOSS_MARGIN = 0.97
"""A loss counts as guessing from this share of ln(classes) on: a head that has hardly moved lies just below it."""
SURPRISE = 2.0
"""An accuracy counts as guessing up to this many standard deviations of a guesser's accuracy above 1/classes."""
_PER_PICTURE = 1.5
"""A loss above this many times ln(classes) is not per picture, or the training has diverged: both say nothing."""


@dataclass(frozen=True)
class Verdict:
    """Whether a model only guesses: True, False, or None where its metrics do not tell; ``text`` says why."""

    guesses: bool | None
    text: str


def loss_of_guessing(classes: int) -> float:
    """Cross entropy per picture of a model without knowledge, in nats: ln(classes)."""
    return math.log(classes)


def accuracy_of_guessing(classes: int, pictures: int = 0) -> float:
    """The accuracy up to which nothing better than guessing is shown by ``pictures`` (0: as many as you like).

    The mean of a guesser's accuracy is p = 1/classes and its variance p (1 - p) / pictures (binomial).
    """
    share = 1 / classes
    return share + (SURPRISE * math.sqrt(share * (1 - share) / pictures) if pictures else 0.0)


def judge(metrics: Mapping[str, float], classes: int, pictures: int = 0) -> Verdict:
    """The verdict on metrics of one split by name, with ``pictures`` in that split.

    Where both a loss and an accuracy are there, a model guesses only if both say so: an overconfident model can
    have a loss above ln(classes) and still be right far more often than a guesser.
    """
    found = [verdict for name, value in metrics.items() if (verdict := _judge_one(name, value, classes, pictures))]
    sure = [verdict for verdict in found if verdict.guesses is not None]
    if not sure:
        return Verdict(None, "; ".join(verdict.text for verdict in found) or "no loss and no accuracy was reported")
    better = [verdict for verdict in sure if verdict.guesses is False]
    return Verdict(not better, ", ".join(verdict.text for verdict in better or sure))


def validation_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of the validation split. The test split decides nothing: it is looked at once, at the end."""
    return {name: value for name, value in metrics.items() if re.search(r"\bval(id(ation)?)?\b", _words(name))}


def _judge_one(name: str, value: float, classes: int, pictures: int) -> Verdict | None:
    """None for a metric that is neither a loss nor an accuracy."""
    words = _words(name)
    if "loss" in words or "entropy" in words:
        return _judge_loss(name, value, classes)
    if re.search(r"\bacc(uracy)?\b", words):
        return _judge_accuracy(name, value, classes, pictures)
    return None


def _judge_loss(name: str, value: float, classes: int) -> Verdict:
    chance = loss_of_guessing(classes)
    shown = f"{name} {value:.3g}, ln {classes} = {chance:.3g}"
    if not math.isfinite(value) or value < 0 or value > _PER_PICTURE * chance:
        return Verdict(
            None, f"{name} {value:.4g} is no loss per picture (guessing {classes} classes gives {chance:.3g})"
        )
    if value == int(value):
        return Verdict(None, f"{name} {value:g} looks rounded to a whole number, so trials cannot be told apart by it")
    return Verdict(value >= LOSS_MARGIN * chance, shown)


def _judge_accuracy(name: str, value: float, classes: int, pictures: int) -> Verdict:
    share = value / 100 if value > 1 else value  # some scripts print percent
    if not 0 <= share <= 1:
        return Verdict(None, f"{name} {value:g} is no share of pictures")
    return Verdict(
        share <= accuracy_of_guessing(classes, pictures), f"{name} {value:.3g}, 1/{classes} = {1 / classes:.3g}"
    )


def _words(name: str) -> str:
    """A metric's name as small words: "validation:loss", "ValLoss" and "val_loss" read alike."""
    return re.sub(r"[^a-z0-9]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()).strip()
