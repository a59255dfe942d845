"""Strategies that do not learn: Random and Grid, whose every point is decided by seed and number"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sagehound.localcloud.search.dimensions import Categorical, RangeError, Value
from sagehound.localcloud.search.points import random_point
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.search.trial import Stopping, Trial, stops

_LARGEST_GRID = 100_000


class PlainSearch:
    """A sequence of points that no result changes, with a rule for stopping trials early."""

    def __init__(self, point: Callable[[int], dict[str, Value] | None], stopping: Stopping) -> None:
        self._point = point
        self._stopping = stopping

    async def ask(self, number: int, history: list[Trial]) -> dict[str, Value] | None:
        """Point `number` of the sequence, whatever the history says."""
        return self._point(number)

    async def should_stop(self, number: int, history: list[Trial]) -> bool:
        """As the stopping rule says."""
        return stops(self._stopping, number, history)

    async def close(self) -> None:
        """Nothing runs."""


def random_search(space: Space, seed: int, stopping: Stopping) -> PlainSearch:
    """Random: uniform on each hyperparameter's scale; no combination of a finite space twice."""
    return PlainSearch(lambda number: random_point(space, seed, number), stopping)


def grid_search(space: Space, seed: int, stopping: Stopping) -> PlainSearch:
    """Grid: every combination of categories once, in an order that the seed decides.

    Shuffled, because a grid that is stopped half-way has then seen every category, not the first ones only.
    """
    numeric = [one.name for one in space.dimensions if not isinstance(one, Categorical)]
    if numeric:
        raise RangeError(
            "Only categorical hyperparameters are supported when using the Grid strategy; "
            f"these have other ranges: {', '.join(numeric)}."
        )
    size = space.grid_size()
    assert size is not None
    if size > _LARGEST_GRID:
        raise RangeError(f"The grid has {size} combinations of categories: at most {_LARGEST_GRID} are allowed.")
    order = np.random.default_rng(np.random.SeedSequence([seed])).permutation(size)
    return PlainSearch(lambda number: space.point(int(order[number])) if number < size else None, stopping)
