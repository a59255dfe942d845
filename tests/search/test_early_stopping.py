"""The median rule on cases that are worked out by hand"""

from __future__ import annotations

import math

import pytest

from sagehound.localcloud.search.early_stopping import worse_than_median
from sagehound.localcloud.search.trial import Trial


def history(*values: tuple[float, ...], state: str = "Succeeded") -> list[Trial]:
    return [Trial(number, {}, state, one[-1], one) for number, one in enumerate(values)]


def running(*values: float) -> Trial:
    return Trial(99, {}, "Running", None, values)


# Running averages up to epoch 2: 0.8, 0.6 and 0.5, so the median is 0.6; up to epoch 3: 0.7, 0.5 and 0.4.
THREE = history((0.9, 0.7, 0.5), (0.7, 0.5, 0.3), (0.6, 0.4, 0.2))


@pytest.mark.parametrize(
    ("values", "minimize", "stopped"),
    [
        ((2.0, 0.61), True, True),
        ((2.0, 0.6), True, False),
        ((0.1, 0.59), True, False),
        ((2.0, 0.61), False, False),
        ((2.0, 0.59), False, True),
        ((0.9, 0.9, 0.51), True, True),
        ((0.9, 0.9, 0.5), True, False),
    ],
)
def test_the_value_is_held_against_the_median_of_running_averages(
    values: tuple[float, ...], minimize: bool, stopped: bool
) -> None:
    assert worse_than_median(running(*values), THREE, minimize=minimize) is stopped


def test_the_median_of_four_is_the_middle_of_two() -> None:
    four = [*THREE, Trial(3, {}, "Stopped", 1.0, (1.0, 1.0))]  # 0.8, 0.6, 0.5 and 1.0: the median is 0.7.
    assert worse_than_median(running(0.0, 0.71), four, minimize=True)
    assert not worse_than_median(running(0.0, 0.69), four, minimize=True)


def test_it_takes_three_previous_jobs_with_as_many_values() -> None:
    assert not worse_than_median(running(9.0, 9.0), THREE[:2], minimize=True)
    assert not worse_than_median(running(9.0, 9.0, 9.0, 9.0), THREE, minimize=True)
    short = [*THREE[:2], Trial(2, {}, "Succeeded", 0.6, (0.6,))]
    assert not worse_than_median(running(9.0, 9.0), short, minimize=True)


def test_one_value_is_no_epoch_yet() -> None:
    assert not worse_than_median(running(9.0), THREE, minimize=True)
    assert not worse_than_median(running(), THREE, minimize=True)


@pytest.mark.parametrize("state", ["Running", "Failed"])
def test_jobs_that_have_not_ended_well_do_not_count(state: str) -> None:
    others = history((0.9, 0.7), (0.7, 0.5), (0.6, 0.4), state=state)
    assert not worse_than_median(running(9.0, 9.0), others, minimize=True)


def test_a_parents_jobs_do_not_count() -> None:
    parents = [Trial(-1 - trial.number, {}, trial.state, trial.value, trial.values) for trial in THREE]
    assert not worse_than_median(running(9.0, 9.0), parents, minimize=True)


def test_a_value_that_is_no_number_is_worse_than_any() -> None:
    assert worse_than_median(running(0.1, math.nan), THREE, minimize=True)
    spoilt = [*THREE[:2], Trial(2, {}, "Succeeded", 0.4, (math.nan, 0.4))]
    assert not worse_than_median(running(9.0, 9.0), spoilt, minimize=True)
