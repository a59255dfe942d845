"""Hyperband's decisions: which bracket a trial is in, at which epochs it is judged, and whether it goes on

They are those of Optuna's HyperbandPruner, which runs asynchronous successive halving in every bracket, as pure
functions: they are asked after every value of every job, and need no process for it. A test holds them against Optuna.
The resource is the number of values that a job has emitted, one an epoch.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.search.dimensions import RangeError
from sagehound.localcloud.search.trial import Trial

REDUCTION_FACTOR = 3
MOST_RESOURCE = 20_000
_EPOCH_NAMES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")


@dataclass(frozen=True, slots=True)
class Brackets:
    """The brackets of a search: bracket 0 judges after `min_resource` values, each further one three times later."""

    min_resource: int
    max_resource: int
    seed: int

    @property
    def count(self) -> int:
        return math.floor(math.log(self.max_resource / self.min_resource, REDUCTION_FACTOR)) + 1

    def budgets(self) -> list[int]:
        """How many trials in turn each bracket gets: as Hyperband's Algorithm 1, more for those that judge early."""
        return [math.ceil(self.count * REDUCTION_FACTOR**late / (late + 1)) for late in reversed(range(self.count))]

    def bracket(self, number: int) -> int:
        """The bracket of a trial, a hash of seed and number: the same after a restart, whatever the others do."""
        budgets = self.budgets()
        place = binascii.crc32(f"{self.study_name}_{number}".encode()) % sum(budgets)
        for bracket, budget in enumerate(budgets):
            place -= budget
            if place < 0:
                return bracket
        raise AssertionError("the place lies within the sum of the budgets")

    @property
    def study_name(self) -> str:
        """What an Optuna study has to be called to put its trials into the same brackets."""
        return f"tuning-{self.seed}"

    def rungs(self, number: int) -> list[int]:
        """The counts of values at which a trial is judged, up to the greatest resource."""
        steps, step = [], self.min_resource * REDUCTION_FACTOR ** self.bracket(number)
        while step <= self.max_resource:
            steps.append(step)
            step *= REDUCTION_FACTOR
        return steps

    def falls(self, trial: Trial, rung: int, history: Iterable[Trial], *, minimize: bool) -> bool:
        """Whether a trial, judged at its `rung`-th value, is not among the best third of its bracket that got there."""
        value = trial.values[rung - 1]
        if math.isnan(value):
            return True
        bracket = self.bracket(trial.number)
        competing = [
            other.values[rung - 1]
            for other in history
            if 0 <= other.number != trial.number and len(other.values) >= rung and self.bracket(other.number) == bracket
        ]
        ordered = sorted([one if minimize else -one for one in [*competing, value]])
        # Of fewer than three only the best goes on.
        last_promoted = ordered[max(0, len(ordered) // REDUCTION_FACTOR - 1)]
        return (value if minimize else -value) > last_promoted


class HyperbandStopping:
    """Judges each trial once at each of its rungs.

    It remembers how many values it has seen of a trial, because several may come at once and a rung lie between them.
    Without that memory, after a restart, a trial is judged at its last rung again.
    """

    def __init__(self, brackets: Brackets, *, minimize: bool) -> None:
        self._brackets = brackets
        self._minimize = minimize
        self._seen: dict[int, tuple[int, int]] = {}

    def __call__(self, trial: Trial, history: list[Trial]) -> bool:
        """Whether the trial falls at a rung that its new values have reached, or goes beyond the greatest resource.

        AWS stops a job that reaches MaxResource. Here it may end by itself after that value: stopped there, a script
        whose epochs are MaxResource would lose the model that it is about to write.
        """
        count = len(trial.values)
        if count > self._brackets.max_resource:
            return True
        since, seen = self._seen.get(trial.number, (0, 0))
        if count > seen:
            since = seen
            self._seen[trial.number] = (since, count)
        rungs = [rung for rung in self._brackets.rungs(trial.number) if since < rung <= count]
        return bool(rungs) and self._brackets.falls(trial, rungs[-1], history, minimize=self._minimize)


def resources(strategy_config: dict[str, Any], static: dict[str, str]) -> dict[str, Any]:
    """The strategy's configuration with MaxResource, taken from the static hyperparameters where it is not given.

    AWS looks for epochs, numepochs, n-epochs, n_epochs and num_epochs, and refuses the job where it finds none.
    """
    given = dict(strategy_config.get("HyperbandStrategyConfig") or {})
    if given.get("MaxResource") is None:
        texts = [static[name].strip().strip('"') for name in _EPOCH_NAMES if name in static]
        found = [int(text) for text in texts if text.isdecimal() and int(text) > 0]
        if found:
            given["MaxResource"] = found[0]
    return {**strategy_config, "HyperbandStrategyConfig": given}


def brackets(strategy_config: dict[str, Any], seed: int) -> Brackets:
    """The brackets of a tuning job's StrategyConfig; raises RangeError where it makes no sense."""
    given = strategy_config.get("HyperbandStrategyConfig") or {}
    least, most = given.get("MinResource") or 1, given.get("MaxResource")
    if most is None:
        raise RangeError(
            "MaxResource of HyperbandStrategyConfig is required: it is not given, and cannot be inferred from a static "
            f"hyperparameter named {', '.join(_EPOCH_NAMES)}."
        )
    if most > MOST_RESOURCE:
        raise RangeError(f"MaxResource of HyperbandStrategyConfig is {most}: at most {MOST_RESOURCE} is allowed.")
    if least > most:
        raise RangeError(f"MinResource {least} of HyperbandStrategyConfig is greater than its MaxResource {most}.")
    return Brackets(int(least), int(most), seed)
