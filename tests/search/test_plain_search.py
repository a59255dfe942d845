"""Random and Grid are exact by seed: whatever has happened, point n is point n"""

from __future__ import annotations

from typing import Any

import pytest

from sagehound.localcloud.search.dimensions import RangeError
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.search.strategy import Search, open_search
from sagehound.localcloud.search.trial import Trial
from tests.search.spaces import BATCH_SIZES, HEAD, SMALL, categories, ended, numeric

GRID = Space.of({"CategoricalParameterRanges": [BATCH_SIZES, categories("optimizer", "adam", "sgd")]})


def opened(space: Space, strategy: str, seed: int = 7, max_jobs: int | None = None, **more: Any) -> Search:
    given: dict[str, Any] = {"early_stopping": "Off", "strategy_config": {}, "minimize": True, **more}
    return open_search(space, strategy=strategy, seed=seed, max_jobs=max_jobs, **given)


@pytest.mark.parametrize(("space", "strategy"), [(HEAD, "Random"), (SMALL, "Random"), (GRID, "Grid")])
async def test_a_point_depends_on_seed_and_number_only(space: Space, strategy: str) -> None:
    first = opened(space, strategy)
    forwards = [await first.ask(number, []) for number in range(6)]
    # Another object, as after a restart; another order of asking; other things in the history.
    history = [ended(number, point, 0.1 * number) for number, point in enumerate(forwards) if point]
    second = opened(space, strategy)
    backwards = [await second.ask(number, history[:number]) for number in reversed(range(6))]
    assert forwards == list(reversed(backwards))


@pytest.mark.parametrize(("space", "strategy"), [(HEAD, "Random"), (SMALL, "Random"), (GRID, "Grid")])
async def test_another_seed_is_another_search(space: Space, strategy: str) -> None:
    one, other = opened(space, strategy, seed=1), opened(space, strategy, seed=2)
    assert [await one.ask(number, []) for number in range(6)] != [await other.ask(number, []) for number in range(6)]


async def test_the_random_points_of_a_seed_never_change() -> None:
    """These values are a promise: a RandomSeed repeats a search with later versions too."""
    search = opened(HEAD, "Random", seed=42)
    found = [await search.ask(number, []) for number in range(3)]
    assert found == [
        {"batch_size": "256", "learning_rate": pytest.approx(0.007546696410796927, rel=1e-12)},
        {"batch_size": "256", "learning_rate": pytest.approx(0.0031039685673582788, rel=1e-12)},
        {"batch_size": "64", "learning_rate": pytest.approx(0.08016659305937641, rel=1e-12)},
    ]


@pytest.mark.parametrize("seed", range(5))
async def test_random_takes_each_point_of_a_finite_space_once(seed: int) -> None:
    search = opened(SMALL, "Random", seed=seed)
    points = [await search.ask(number, []) for number in range(6)]
    assert len({SMALL.key(point) for point in points if point}) == 6
    assert await search.ask(6, []) is None


async def test_without_repetition_a_logarithmic_scale_stays_one() -> None:
    space = Space.of({"IntegerParameterRanges": [numeric("units", 1, 100_000, "Logarithmic")]})
    search = opened(space, "Random")
    points = [await search.ask(number, []) for number in range(200)]
    small = sum(int(point["units"]) <= 316 for point in points if point)
    # Half of the scale lies below 316; only 0.3 per cent of the integers do.
    assert 70 <= small <= 130


async def test_grid_is_the_whole_product_once() -> None:
    search = opened(GRID, "Grid", max_jobs=10)
    points = [await search.ask(number, []) for number in range(10)]
    assert {GRID.key(point) for point in points if point} == {GRID.key(GRID.point(index)) for index in range(10)}
    assert await search.ask(10, []) is None


def test_grid_takes_categories_only() -> None:
    with pytest.raises(RangeError, match=r"Only categorical .* Grid strategy.* learning_rate"):
        opened(HEAD, "Grid")
    with pytest.raises(RangeError, match=r"Only categorical .* layers"):
        opened(SMALL, "Grid")


def test_a_grid_beyond_all_measure_is_refused_before_it_is_made() -> None:
    letters = [categories(f"c{index}", *"abcdefghij") for index in range(12)]
    with pytest.raises(RangeError, match="1000000000000 combinations"):
        opened(Space.of({"CategoricalParameterRanges": letters}), "Grid")


def test_the_number_of_jobs_has_to_fit_the_combinations() -> None:
    with pytest.raises(RangeError, match=r"\[6\] must be equal or greater .* \[7\]"):
        opened(SMALL, "Random", max_jobs=7)
    with pytest.raises(RangeError, match=r"\[9\] should equal .* \[10\]"):
        opened(GRID, "Grid", max_jobs=9)


def test_what_no_strategy_can_do_is_refused() -> None:
    with pytest.raises(RangeError, match="'Guess' is none of Bayesian, Random, Grid, Hyperband"):
        opened(HEAD, "Guess")
    with pytest.raises(RangeError, match="only for the Hyperband strategy"):
        opened(HEAD, "Random", strategy_config={"HyperbandStrategyConfig": {"MaxResource": 9}})


async def test_early_stopping_is_off_unless_asked_for() -> None:
    history = [Trial(number, {}, "Succeeded", 0.1, (0.1, 0.1)) for number in range(4)]
    history.append(Trial(4, {}, "Running", None, (0.9, 0.9)))
    assert not await opened(HEAD, "Random").should_stop(4, history)
    assert await opened(HEAD, "Random", early_stopping="Auto").should_stop(4, history)
    assert not await opened(HEAD, "Random", early_stopping="Auto").should_stop(3, history)
    assert not await opened(HEAD, "Random", early_stopping="Auto").should_stop(9, history)
