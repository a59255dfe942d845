"""Strategies that learn: Bayesian by a Gaussian process, Hyperband by a Parzen estimator that knows stopped trials

The first points are spread evenly and need no process. After them a worker process models the objective with Optuna;
this side says what the trials mean to it. A suggestion depends on seed, number and history alone.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from sagehound.localcloud.search.dimensions import Continuous, Dimension, Integer, Value
from sagehound.localcloud.search.points import random_point, spread_point, unseen_points
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.search.trial import RUNNING, STOPPED, Stopping, Trial, stops
from sagehound.localcloud.search.worker_process import WorkerProcess

_FEWEST_FIRST, _MOST_FIRST = 4, 10
_WORST = 2.0
"""How many times as far as the best from the median a value may lie on the other side and still count in full."""


def first_points(max_jobs: int | None) -> int:
    """How many trials a search measures before it models the objective: a quarter of its jobs, 4 to 10.

    Optuna takes 10 whatever there is to spend. Of 24 jobs these would be two fifths; `benchmarks/tuning_quality.py`
    shows what fewer, evenly spread ones are worth.
    """
    if max_jobs is None:
        return _MOST_FIRST
    return min(max_jobs, max(_FEWEST_FIRST, min(_MOST_FIRST, max_jobs // 4)))


class ModelSearch:
    """Asks the worker for points, with what is known so far."""

    def __init__(
        self,
        space: Space,
        *,
        sampler: str,
        minimize: bool,
        seed: int,
        stopping: Stopping,
        max_jobs: int | None,
        worker: WorkerProcess | None = None,
    ) -> None:
        self._space = space
        self._sampler = sampler
        self._sign = 1.0 if minimize else -1.0
        self._seed = seed
        self._stopping = stopping
        self._max_jobs = max_jobs
        self._first = first_points(max_jobs)
        self._varied = [one for one in space.dimensions if one.count is None or one.count > 1]
        self.worker = worker or WorkerProcess(warm_up=sampler == "gp")

    @property
    def will_model(self) -> bool:
        """Whether the job is long enough to get beyond the first points."""
        return self._max_jobs is None or self._max_jobs > self._first

    def start_early(self) -> None:
        """Start the worker before it is needed; there has to be a running event loop."""
        self.worker.start_early()

    async def ask(self, number: int, history: list[Trial]) -> dict[str, Value] | None:
        """A spread point to begin with, then the one that promises most; None when every point was tried."""
        known = [trial for trial in history if self._space.contains(trial.parameters)]
        size = self._space.grid_size()
        tried = {self._space.key(trial.parameters) for trial in known}
        if size is not None and len(tried) >= size:
            # A warm start may try what its parents have tried, once there is nothing else.
            tried = {self._space.key(trial.parameters) for trial in known if trial.number >= 0}
        if size is not None and len(tried) >= size:
            return None
        if sum(trial.measured for trial in known) < self._first:
            point = spread_point(self._space, self._seed, number, self._first)
        else:
            point = self._decode((await self.worker.ask(self._request(number, known)))["point"])
        if size is not None and (point is None or self._space.key(point) in tried):
            unseen = unseen_points(self._space, self._seed, number)
            point = next(one for one in unseen if self._space.key(one) not in tried)
        elif point is not None and self._space.key(point) in tried:
            # At the edge of a range the model can ask for the very same point again: it would teach nothing.
            point = random_point(self._space, self._seed, number)
        return point

    async def should_stop(self, number: int, history: list[Trial]) -> bool:
        """As the stopping rule of the strategy says."""
        return stops(self._stopping, number, history)

    async def close(self) -> None:
        """End the worker."""
        await self.worker.close()

    def _request(self, number: int, known: list[Trial]) -> dict[str, Any]:
        finite = self._space.grid_size() is not None
        seed = np.random.SeedSequence([self._seed, number, 0x6D0DE1]).generate_state(1)[0]
        return {
            "sampler": self._sampler,
            "seed": int(seed) >> 1,
            "space": {one.name: _described(one) for one in self._varied},
            "trials": self._observations(known),
            "taken": [self._encode(trial) for trial in known] if finite else [],
        }

    def _observations(self, known: list[Trial]) -> list[dict[str, Any]]:
        """The trials as the worker takes them: smaller is better, every ended one has a value."""
        values = [self._sign * trial.value for trial in known if trial.measured and trial.value is not None]
        middle = statistics.median(values)
        # One training that has diverged must not make all others look alike: bad is bad from here on.
        worst = middle + _WORST * (middle - min(values)) if min(values) < middle else max(values)
        observations = []
        for trial in sorted(known, key=lambda one: one.number):
            # A Gaussian process learns from ends only: the thousands of values on the way need not travel.
            steps = [self._sign * value for value in trial.values] if self._sampler == "tpe" else []
            if trial.state == RUNNING:
                state, value = "RUNNING", None
            elif trial.measured and trial.value is not None:
                pruned = self._sampler == "tpe" and trial.state == STOPPED and bool(steps)
                state, value = ("PRUNED" if pruned else "COMPLETE"), min(worst, self._sign * trial.value)
            else:
                # A trial that failed has no value. The middle of the others keeps the search from going there again,
                # and tells the model nothing that would spoil it.
                state, value = "COMPLETE", middle
            observations.append({"state": state, "point": self._encode(trial), "value": value, "steps": steps})
        return observations

    def _encode(self, trial: Trial) -> list[float | int]:
        return [_encoded(one, trial.parameters[one.name]) for one in self._varied]

    def _decode(self, point: list[float | int]) -> dict[str, Value]:
        varied = {one.name: _decoded(one, at) for one, at in zip(self._varied, point, strict=True)}
        return {one.name: varied.get(one.name, one.value(0.5)) for one in self._space.dimensions}


def _described(dimension: Dimension) -> dict[str, Any]:
    if isinstance(dimension, Continuous):
        return {"kind": "float"}
    if isinstance(dimension, Integer):
        log = dimension.scaling == "Logarithmic"
        return {"kind": "int", "low": dimension.low, "high": dimension.high, "log": log}
    return {"kind": "categorical", "count": dimension.count}


def _encoded(dimension: Dimension, value: Value) -> float | int:
    if isinstance(dimension, Continuous):
        return dimension.coordinate(value)
    return int(value) if isinstance(dimension, Integer) else dimension.index(value)


def _decoded(dimension: Dimension, at: float | int) -> Value:
    if isinstance(dimension, Continuous):
        return dimension.value(float(at))
    return int(at) if isinstance(dimension, Integer) else dimension.at(int(at))
