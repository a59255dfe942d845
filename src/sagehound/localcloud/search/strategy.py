"""Opens the search of a tuning job: its strategy, what it may not ask for, and its rule for stopping jobs early"""

from __future__ import annotations

import asyncio
from typing import Any

from sagehound.localcloud.search.dimensions import RangeError
from sagehound.localcloud.search.early_stopping import worse_than_median
from sagehound.localcloud.search.hyperband import HyperbandStopping, brackets
from sagehound.localcloud.search.model_search import ModelSearch
from sagehound.localcloud.search.plain_search import grid_search, random_search
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.search.trial import Search, Stopping, Trial
from sagehound.localcloud.search.worker_process import SearchFailed

__all__ = ["RangeError", "Search", "SearchFailed", "Space", "Trial", "open_search"]

STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")


def open_search(
    space: Space,
    *,
    strategy: str,
    minimize: bool,
    seed: int,
    early_stopping: str,
    strategy_config: dict[str, Any],
    max_jobs: int | None,
) -> Search:
    """The search that a HyperParameterTuningJobConfig asks for; raises RangeError where it makes no sense.

    Called with a running event loop it starts the process that a learning strategy needs, so that the process gets
    ready while the first jobs run; a job that ends before its search learns anything never starts one.
    """
    if strategy not in STRATEGIES:
        raise RangeError(f"The strategy '{strategy}' is none of {', '.join(STRATEGIES)}.")
    if strategy_config.get("HyperbandStrategyConfig") and strategy != "Hyperband":
        raise RangeError(f"HyperbandStrategyConfig is supported only for the Hyperband strategy, not for {strategy}.")
    _check_combinations(space, strategy, max_jobs)
    stopping = _stopping(strategy, early_stopping, strategy_config, seed, minimize=minimize)
    if strategy == "Random":
        return random_search(space, seed, stopping)
    if strategy == "Grid":
        return grid_search(space, seed, stopping)
    sampler = "gp" if strategy == "Bayesian" else "tpe"
    search = ModelSearch(space, sampler=sampler, minimize=minimize, seed=seed, stopping=stopping, max_jobs=max_jobs)
    if search.will_model:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return search
        search.start_early()
    return search


def _check_combinations(space: Space, strategy: str, max_jobs: int | None) -> None:
    """AWS refuses more jobs than there are combinations, and a grid that is not searched whole."""
    size = space.grid_size()
    if size is None or max_jobs is None:
        return
    if max_jobs > size:
        raise RangeError(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            f"combinations for the provided ranges [{size}] must be equal or greater than the value of "
            f"MaxNumberOfTrainingJobs, [{max_jobs}]. Provide additional ranges."
        )
    if strategy == "Grid" and max_jobs != size:
        raise RangeError(
            f"MaxNumberOfTrainingJobs [{max_jobs}] should equal the total number of distinct categorical combinations "
            f"possible [{size}] when using the Grid strategy."
        )


def _stopping(
    strategy: str, early_stopping: str, strategy_config: dict[str, Any], seed: int, *, minimize: bool
) -> Stopping:
    if strategy == "Hyperband":
        if early_stopping == "Auto":
            raise RangeError(
                "TrainingJobEarlyStoppingType must be Off to use the Hyperband strategy: it stops jobs by itself."
            )
        return HyperbandStopping(brackets(strategy_config, seed), minimize=minimize)
    if early_stopping == "Auto":
        return lambda trial, history: worse_than_median(trial, history, minimize=minimize)
    return lambda trial, history: False
