"""Bayesian and Hyperband: spread points first, then what the worker suggests, the same after every restart"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import pytest
import pytest_asyncio

from sagehound.localcloud.search.dimensions import Value
from sagehound.localcloud.search.model_search import ModelSearch
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.search.strategy import open_search
from sagehound.localcloud.search.trial import Trial
from sagehound.localcloud.search.worker_process import SearchFailed, WorkerProcess
from tests.search.spaces import HEAD, SMALL, categories, ended, loss, numeric

pytestmark = pytest.mark.asyncio(loop_scope="module")

HYPERBAND = {"HyperbandStrategyConfig": {"MaxResource": 9}}
Opened = Callable[..., ModelSearch]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened() -> AsyncIterator[Opened]:
    """Opens searches that share one worker: it keeps nothing, and its imports take seconds."""
    worker = WorkerProcess()

    def opened(space: Space = HEAD, strategy: str = "Bayesian", **more: Any) -> ModelSearch:
        given: dict[str, Any] = {"minimize": True, "seed": 5, "max_jobs": None, "stopping": lambda *_: False, **more}
        sampler = {"Bayesian": "gp", "Hyperband": "tpe"}[strategy]
        return ModelSearch(space, sampler=sampler, worker=worker, **given)

    yield opened
    await worker.close()


async def point(search: ModelSearch, number: int, history: list[Trial]) -> dict[str, Value]:
    found = await search.ask(number, history)
    assert found is not None
    return found


async def first(search: ModelSearch, count: int) -> list[Trial]:
    """Trials that have measured the first points."""
    points = [await point(search, number, []) for number in range(count)]
    return [ended(number, one, loss(one)) for number, one in enumerate(points)]


@pytest.mark.parametrize("strategy", ["Bayesian", "Hyperband"])
async def test_a_restart_and_another_order_of_the_history_change_nothing(opened: Opened, strategy: str) -> None:
    one, other = opened(strategy=strategy), opened(strategy=strategy)
    history = await first(one, 12)
    history += [Trial(12, history[0].parameters, "Running", None), Trial(13, history[3].parameters, "Failed", None)]
    answer = await point(one, 14, history)
    assert await point(one, 14, history) == answer
    assert await point(other, 14, list(reversed(history))) == answer
    assert HEAD.contains(answer)


async def test_the_first_points_need_no_process_and_follow_the_seed(opened: Opened) -> None:
    one, same, another = opened(max_jobs=4), opened(max_jobs=4), opened(max_jobs=4, seed=6)
    points = [[await search.ask(number, []) for number in range(4)] for search in (one, same, another)]
    assert points[0] == points[1] != points[2]


async def test_the_first_points_are_spread(opened: Opened) -> None:
    """Of ten first points each quarter of every scale has one or more, whatever the seed: ten random ones miss some."""
    space = Space.of({"ContinuousParameterRanges": [numeric("x", 0, 1), numeric("y", 0, 1)]})
    for seed in range(40):
        points = [await point(opened(space, seed=seed), number, []) for number in range(10)]
        for name in ("x", "y"):
            assert {int(float(one[name]) * 4) for one in points} == {0, 1, 2, 3}


async def test_it_finds_what_is_good(opened: Opened) -> None:
    search = opened()
    history: list[Trial] = []
    for number in range(18):
        here = await point(search, number, history)
        history.append(ended(number, here, loss(here)))
    best = min(history, key=lambda trial: trial.value or 0)
    assert best.value is not None
    assert best.value < 0.01
    assert best.parameters["batch_size"] == "128"


async def test_maximizing_is_minimizing_the_opposite(opened: Opened) -> None:
    low, high = opened(), opened(minimize=False)
    history = await first(low, 11)
    opposite = [ended(trial.number, trial.parameters, -(trial.value or 0)) for trial in history]
    assert await point(low, 11, history) == await point(high, 11, opposite)


@pytest.mark.parametrize("strategy", ["Bayesian", "Hyperband"])
async def test_points_that_are_asked_for_in_parallel_differ(opened: Opened, strategy: str) -> None:
    search = opened(strategy=strategy)
    history = await first(search, 10)
    for number in range(10, 14):
        history.append(Trial(number, await point(search, number, history), "Running", None))
    assert len({HEAD.key(trial.parameters) for trial in history}) == 14


async def test_failed_trials_and_values_that_are_no_numbers_do_not_disturb(opened: Opened) -> None:
    search = opened()
    history = await first(search, 12)
    place = history[4].parameters
    for value in (None, float("nan"), float("inf")):
        spoilt = [*history, Trial(12, place, "Failed", value), Trial(13, place, "Succeeded", value)]
        found = await point(search, 14, spoilt)
        assert HEAD.contains(found)
        assert HEAD.key(found) != HEAD.key(place)
    for number in range(14, 20):
        here = await point(search, number, spoilt)
        spoilt.append(ended(number, here, loss(here)))
    assert min(trial.value for trial in spoilt if trial.measured and trial.value is not None) < 0.02


async def test_a_training_that_has_diverged_does_not_blind_the_search(opened: Opened) -> None:
    search = opened(max_jobs=24)
    history: list[Trial] = []
    for number in range(18):
        here = await point(search, number, history)
        history.append(ended(number, here, 1e30 if number in (1, 3) else loss(here)))
    assert min(trial.value for trial in history if trial.value is not None) < 0.07


async def test_when_everything_fails_it_goes_on_with_new_points(opened: Opened) -> None:
    search = opened(max_jobs=30)
    history: list[Trial] = []
    for number in range(25):
        history.append(Trial(number, await point(search, number, history), "Failed", None))
    assert len({HEAD.key(trial.parameters) for trial in history}) == 25


async def test_a_failed_place_is_not_asked_for_again(opened: Opened) -> None:
    """An objective that fails wherever it would be best: six more trials must not all run into that."""
    search = opened()
    history = await first(search, 10)
    for number in range(10, 16):
        here = await point(search, number, history)
        bad = here["batch_size"] == "128" and 0.01 < float(here["learning_rate"]) < 0.04
        history.append(Trial(number, here, "Failed", None) if bad else ended(number, here, loss(here)))
    keys = [HEAD.key(trial.parameters) for trial in history]
    assert len(set(keys)) == len(keys)


async def test_each_point_of_a_finite_space_comes_once(opened: Opened) -> None:
    search = opened(SMALL)
    search_first = [Trial(-1, SMALL.point(0), "Succeeded", 0.5)]
    history = list(search_first)
    for number in range(5):
        here = await point(search, number, history)
        history.append(ended(number, here, float(here["layers"])))
    assert len({SMALL.key(trial.parameters) for trial in history}) == 6
    # What the parent has tried comes last.
    assert await search.ask(5, history) == SMALL.point(0)
    history.append(ended(5, SMALL.point(0), 1.0))
    assert await search.ask(6, history) is None


async def test_a_finite_space_with_a_model_is_searched_without_repetition(opened: Opened) -> None:
    space = Space.of(
        {
            "IntegerParameterRanges": [numeric("n", 1, 8)],
            "CategoricalParameterRanges": [categories("c", "a", "b")],
        }
    )
    search = opened(space)
    history: list[Trial] = []
    for number in range(16):
        here = await point(search, number, history)
        history.append(ended(number, here, abs(int(here["n"]) - 4)))
    assert len({space.key(trial.parameters) for trial in history}) == 16


async def test_a_warm_starts_parents_are_known_from_the_first_trial_on(opened: Opened) -> None:
    search, cold = opened(), opened()
    points = [await point(cold, number, []) for number in range(12)]
    parents = [ended(-1 - number, one, loss(one)) for number, one in enumerate(points)]
    outside = ended(-50, {"learning_rate": 5.0, "batch_size": "128"}, 0.0)
    warm = await point(search, 0, parents)
    assert warm != points[0]
    assert loss(warm) < sorted(loss(one) for one in points)[5]
    assert await point(search, 0, [*parents, outside]) == warm


async def test_trials_that_were_stopped_early_are_learnt_from(opened: Opened) -> None:
    search = opened(strategy="Hyperband")
    points = [await point(search, number, []) for number in range(12)]
    history = [
        Trial(number, one, "Stopped" if number % 2 else "Succeeded", loss(one), (1 + loss(one), loss(one)))
        for number, one in enumerate(points)
    ]
    without = [trial for trial in history if trial.state == "Succeeded"]
    answers = [await point(search, 12, known) for known in (history, without)]
    assert HEAD.contains(answers[0])
    assert answers[0] != answers[1]


async def test_a_search_starts_its_worker_early_where_it_will_need_it_and_leaves_nothing_of_it() -> None:
    given: dict[str, Any] = {"minimize": True, "seed": 5, "early_stopping": "Off", "strategy_config": {}}
    short = open_search(HEAD, strategy="Bayesian", max_jobs=2, **given)
    long = open_search(HEAD, strategy="Bayesian", max_jobs=24, **given)
    assert isinstance(short, ModelSearch)
    assert isinstance(long, ModelSearch)
    for search in (short, long):
        await asyncio.gather(search.ask(0, []), search.ask(1, []))
    history = await first(long, 10)
    await point(long, 10, history)
    pid = long.worker.pid
    assert short.worker.pid is None
    assert pid is not None
    await short.close()
    await long.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(SearchFailed, match="closed"):
        await long.ask(11, history)


async def test_a_best_point_at_the_edge_of_a_range_is_not_asked_for_again_and_again(opened: Opened) -> None:
    rate = {"Name": "rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Linear"}
    sizes = {"Name": "size", "Values": ["32", "64", "128"]}
    space = Space.of({"ContinuousParameterRanges": [rate], "CategoricalParameterRanges": [sizes]})
    search, history = opened(space), list[Trial]()
    for number in range(20):
        parameters = await point(search, number, history)
        history.append(ended(number, parameters, float(parameters["rate"]) ** 0.5))
    assert min(float(trial.parameters["rate"]) for trial in history) == 0.001
    assert len({space.key(trial.parameters) for trial in history}) == len(history)
