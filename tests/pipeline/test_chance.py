"""Chance level: figures that are known, and metrics that tell nothing."""

from __future__ import annotations

import math
import random

import pytest

from sagehound.pipeline.chance import accuracy_of_guessing, judge, loss_of_guessing, validation_metrics


def test_the_level_of_the_133_breeds() -> None:
    assert loss_of_guessing(133) == pytest.approx(4.89, abs=0.005)
    assert accuracy_of_guessing(133) == pytest.approx(0.0075, abs=0.0001)


def test_a_guesser_is_recognised_and_few_pictures_prove_little() -> None:
    chance = random.Random(0)
    guesses = [sum(chance.random() < 0.1 for _ in range(200)) / 200 for _ in range(300)]
    recognised = sum(guess <= accuracy_of_guessing(10, 200) for guess in guesses)
    assert recognised > 0.94 * len(guesses)  # two standard deviations
    assert accuracy_of_guessing(10, 20) > accuracy_of_guessing(10, 2000) > accuracy_of_guessing(10) == 0.1


@pytest.mark.parametrize(
    ("metrics", "guesses"),
    [
        ({"validation:loss": 4.89}, True),
        ({"validation:loss": 4.85}, True),
        ({"validation:loss": 5.6}, True),
        ({"validation:loss": 4.4}, False),
        ({"validation:accuracy": 0.0075}, True),
        ({"validation:accuracy": 0.012}, True),
        ({"validation:accuracy": 0.05}, False),
        ({"val_acc": 0.6}, False),
        ({"Average Loss": 4.9}, True),
        ({"accuracy": 72.0}, False),  # percent
        # An overconfident model is worse than a guesser by its loss and far better by its accuracy.
        ({"validation:loss": 6.1, "validation:accuracy": 0.6}, False),
        ({"validation:loss": 4.9, "validation:accuracy": 0.008}, True),
    ],
)
def test_losses_and_accuracies_are_judged(metrics: dict[str, float], guesses: bool) -> None:
    assert judge(metrics, classes=133, pictures=835).guesses is guesses


@pytest.mark.parametrize(
    ("metrics", "why"),
    [
        ({"Test Loss": 313.0}, "no loss per picture"),  # loss x batch size
        ({"Test Loss": 4.0}, "rounded to a whole number"),  # floored
        ({"validation:loss": math.nan}, "no loss per picture"),
        ({"validation:loss": -1.0}, "no loss per picture"),
        ({"accuracy": 312.0}, "no share of pictures"),
        ({"f1": 0.3}, "no loss and no accuracy"),
        ({}, "no loss and no accuracy"),
    ],
)
def test_what_says_nothing_is_not_judged(metrics: dict[str, float], why: str) -> None:
    verdict = judge(metrics, classes=133)
    assert verdict.guesses is None
    assert why in verdict.text


def test_the_verdict_names_both_figures() -> None:
    assert judge({"validation:loss": 4.89}, 133).text == "validation:loss 4.89, ln 133 = 4.89"


def test_only_the_validation_split_counts() -> None:
    metrics = {"train:loss": 1.0, "validation:loss": 2.0, "val_accuracy": 0.5, "test:loss": 3.0, "evaluation": 1.0}
    assert validation_metrics(metrics) == {"validation:loss": 2.0, "val_accuracy": 0.5}
