"""Hyperband's decisions are those of Optuna's pruner on the same sequence, and depend on seed and number alone"""

from __future__ import annotations

import math
import random
from typing import Any

import optuna
import pytest

from sagehound.localcloud.search.dimensions import RangeError
from sagehound.localcloud.search.hyperband import Brackets, HyperbandStopping, brackets, resources
from sagehound.localcloud.search.strategy import open_search
from sagehound.localcloud.search.trial import Trial
from tests.search.spaces import HEAD


def curve(generator: random.Random, epochs: int) -> list[float]:
    """A noisy learning curve of some quality."""
    end, speed = generator.uniform(0.2, 2), generator.uniform(0.1, 1.5)
    return [end + 3 * math.exp(-speed * epoch) + generator.gauss(0, 0.1) for epoch in range(1, epochs + 1)]


@pytest.mark.parametrize(("least", "most"), [(1, 9), (2, 20), (1, 27), (3, 81), (5, 5)])
@pytest.mark.parametrize("minimize", [True, False])
def test_a_sequence_is_stopped_where_optunas_own_study_stops_it(least: int, most: int, minimize: bool) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ours = Brackets(least, most, seed=5)
    study = optuna.create_study(
        study_name=ours.study_name,
        direction="minimize" if minimize else "maximize",
        pruner=optuna.pruners.HyperbandPruner(least, most, reduction_factor=3),
    )
    stopping, generator, history = HyperbandStopping(ours, minimize=minimize), random.Random(most), []
    theirs_stopped = []
    for number in range(60):
        asked, values, theirs_at, ours_at = study.ask(), [], None, None
        for epoch, value in enumerate(curve(generator, most), start=1):
            values.append(value)
            asked.report(value, epoch)
            if asked.should_prune():
                theirs_at = epoch
            if stopping(Trial(number, {}, "Running", None, tuple(values)), history):
                ours_at = epoch
            if theirs_at or ours_at:
                break
        assert ours_at == theirs_at, f"trial {number}"
        theirs_stopped.append(theirs_at)
        state = optuna.trial.TrialState.PRUNED if theirs_at else optuna.trial.TrialState.COMPLETE
        study.tell(asked, None if theirs_at else values[-1], state=state)
        history.append(Trial(number, {}, "Stopped" if theirs_at else "Succeeded", values[-1], tuple(values)))
    if most > least:
        assert len(set(theirs_stopped)) > 1, "a sequence in which nothing, or everything, is stopped shows nothing"


def test_values_that_come_together_are_judged_at_the_rung_between_them() -> None:
    one = next(number for number in range(100) if Brackets(1, 9, 0).bracket(number) == 0)
    same = [number for number in range(300) if Brackets(1, 9, 0).bracket(number) == 0 and number != one][:3]
    history = [Trial(number, {}, "Succeeded", 0.1, (0.1, 0.1, 0.1, 0.1)) for number in same]
    stopping = HyperbandStopping(Brackets(1, 9, 0), minimize=True)
    jumped = Trial(one, {}, "Running", None, (0.5, 0.5, 0.5, 0.05))
    assert stopping(jumped, history)
    assert stopping(jumped, history), "the same question has the same answer"


def test_a_trial_that_was_judged_is_not_judged_again_between_rungs() -> None:
    numbers = [number for number in range(300) if Brackets(1, 9, 0).bracket(number) == 0][:4]
    stopping = HyperbandStopping(Brackets(1, 9, 0), minimize=True)
    assert not stopping(Trial(numbers[0], {}, "Running", None, (0.5,)), [])
    better = [Trial(number, {}, "Running", None, (0.1,)) for number in numbers[1:]]
    assert not stopping(Trial(numbers[0], {}, "Running", None, (0.5, 0.5)), better)
    with_rung = [Trial(number, {}, "Running", None, (0.1, 0.1, 0.1)) for number in numbers[1:]]
    assert stopping(Trial(numbers[0], {}, "Running", None, (0.5, 0.5, 0.5)), with_rung)


def test_brackets_are_decided_by_seed_and_number() -> None:
    one, same, other = (Brackets(1, 27, seed) for seed in (1, 1, 2))
    assert [one.bracket(number) for number in range(200)] == [same.bracket(number) for number in range(200)]
    assert [one.bracket(number) for number in range(200)] != [other.bracket(number) for number in range(200)]
    counts = [[one.bracket(number) for number in range(2000)].count(bracket) for bracket in range(4)]
    assert counts == sorted(counts, reverse=True), "the bracket that judges first gets the most trials"


def test_nothing_is_stopped_before_its_least_resource_nor_at_its_greatest() -> None:
    stopping = HyperbandStopping(Brackets(3, 3, 0), minimize=True)
    history = [Trial(number, {}, "Succeeded", 0.1, (0.1,) * 3) for number in range(1, 6)]
    assert not stopping(Trial(0, {}, "Running", None, (9.0, 9.0)), history)
    best = HyperbandStopping(Brackets(3, 3, 0), minimize=True)
    assert not best(Trial(0, {}, "Running", None, (0.1, 0.1, 0.05)), history)
    assert best(Trial(0, {}, "Running", None, (0.1, 0.1, 0.05, 0.05)), history), "beyond MaxResource"


def test_a_value_that_is_no_number_falls() -> None:
    assert HyperbandStopping(Brackets(1, 1, 0), minimize=True)(Trial(0, {}, "Running", None, (math.nan,)), [])


@pytest.mark.parametrize("name", ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"])
def test_the_greatest_resource_is_found_in_the_static_hyperparameters(name: str) -> None:
    assert resources({}, {name: '"12"'}) == {"HyperbandStrategyConfig": {"MaxResource": 12}}
    given = {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 5}}
    assert resources(given, {name: "12"}) == given


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "cannot be inferred from a static hyperparameter named epochs"),
        ({"MinResource": 9, "MaxResource": 3}, "MinResource 9 .* greater than its MaxResource 3"),
        ({"MaxResource": 20_001}, "at most 20000"),
    ],
)
def test_resources_that_make_no_sense_are_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(RangeError, match=words):
        brackets(resources({"HyperbandStrategyConfig": config}, {"epochs": "many"}), 0)


def test_hyperband_stops_jobs_by_itself() -> None:
    config = {"HyperbandStrategyConfig": {"MaxResource": 9}}
    with pytest.raises(RangeError, match="must be Off to use the Hyperband strategy"):
        open_search(
            HEAD,
            strategy="Hyperband",
            minimize=True,
            seed=0,
            early_stopping="Auto",
            strategy_config=config,
            max_jobs=9,
        )
