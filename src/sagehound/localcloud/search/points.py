"""Points of a space that nothing but a seed and a number decide: random ones, and evenly spread ones to start with"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from sagehound.localcloud.search.dimensions import Value
from sagehound.localcloud.search.space import Space

_ATTEMPTS = 200


def random_point(space: Space, seed: int, number: int) -> dict[str, Value] | None:
    """Point `number` of the random sequence of a seed: each hyperparameter uniform on its scale.

    The points of a finite space come without repetition; None for a number beyond the last of them.
    """
    return _distinct(space, seed, number, lambda index, attempt: _random(space, seed, index, attempt))


def spread_point(space: Space, seed: int, number: int, block: int) -> dict[str, Value] | None:
    """Point `number` of an evenly spread sequence of a seed, without repetition as `random_point`.

    Every `block` points are a Latin hypercube: each of the block's equal parts of every scale has one of them.
    """

    def draw(index: int, attempt: int) -> dict[str, Value]:
        if attempt > 0:
            return _random(space, seed, index, attempt)
        generator = np.random.default_rng(np.random.SeedSequence([seed, index // block, _ATTEMPTS + 1]))
        parts = [generator.permutation(block)[index % block] for _ in space.dimensions]
        within = np.random.default_rng(np.random.SeedSequence([seed, index, 0])).random(len(parts))
        return space.values(((np.array(parts) + within) / block).tolist())

    return _distinct(space, seed, number, draw)


def unseen_points(space: Space, seed: int, number: int) -> Iterator[dict[str, Value]]:
    """All points of a finite space, from a place on that seed and number decide."""
    size = space.grid_size()
    assert size is not None
    generator = np.random.default_rng(np.random.SeedSequence([seed, number, _ATTEMPTS]))
    start = int(generator.integers(min(size, 2**62)))
    for offset in range(size):
        yield space.point((start + offset) % size)


def _distinct(
    space: Space, seed: int, number: int, draw: Callable[[int, int], dict[str, Value]]
) -> dict[str, Value] | None:
    """Point `number` of a sequence: drawn again where an earlier one of the sequence is the same."""
    size = space.grid_size()
    if size is None:
        return draw(number, 0)
    if number >= size:
        return None
    seen: set[tuple[Value, ...]] = set()
    point: dict[str, Value] = {}
    for index in range(number + 1):
        # Drawn again rather than searched for, so that a scale keeps its meaning; searched for where few are left.
        draws = itertools.chain(
            (draw(index, attempt) for attempt in range(_ATTEMPTS)), unseen_points(space, seed, index)
        )
        point = next(one for one in draws if space.key(one) not in seen)
        seen.add(space.key(point))
    return point


def _random(space: Space, seed: int, number: int, attempt: int) -> dict[str, Value]:
    generator = np.random.default_rng(np.random.SeedSequence([seed, number, attempt]))
    return space.values(generator.random(len(space.dimensions)).tolist())
