"""The searches behind one tuning job: one a definition, among which the training jobs are shared out"""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.search import hyperband
from sagehound.localcloud.search.space import Space
from sagehound.localcloud.search.strategy import Search, open_search
from sagehound.localcloud.search.trial import FAILED, RUNNING, STOPPED, SUCCEEDED, Trial
from sagehound.localcloud.services.sagemaker.tuning_definitions import Definition
from sagehound.localcloud.services.sagemaker.tuning_records import Child
from sagehound.localcloud.services.sagemaker.tuning_warm_start import Past

Proposal = tuple[int, int, dict[str, Any], dict[str, str]]
"""The definition's index, the trial's number within it, its parameters, and these as hyperparameters."""


class Searches:
    """Asks for the next trial, and whether a running one is given up; knows nothing but the history it is shown."""

    def __init__(
        self, config: dict[str, Any], definitions: list[Definition], seed: int, history: list[list[Past]]
    ) -> None:
        self._past = [_past(trials) for trials in history]
        self._spaces = [Space.of(definition.ranges) for definition in definitions]
        self._exhausted: set[int] = set()
        self.stops_early = config.get("TrainingJobEarlyStoppingType") == "Auto" or config["Strategy"] == "Hyperband"
        self._searches: list[Search] = [
            _open(config, definition, space, seed + index, _share(config, len(definitions), index))
            for index, (space, definition) in enumerate(zip(self._spaces, definitions, strict=True))
        ]

    async def propose(self, children: list[Child]) -> Proposal | None:
        """The next trial, of the definition that has the fewest; None when no space has a point left."""
        while len(self._exhausted) < len(self._searches):
            counts = {index: 0 for index in range(len(self._searches)) if index not in self._exhausted}
            for child in children:
                if child["DefinitionIndex"] in counts and child["Attempt"] == 0:
                    counts[child["DefinitionIndex"]] += 1
            index = min(counts, key=lambda one: (counts[one], one))
            number, size = counts[index], self._spaces[index].grid_size()
            parameters = None
            if size is None or number < size:
                parameters = await self._searches[index].ask(number, self._history(index, children))
            if parameters is not None:
                return index, number, parameters, self._spaces[index].texts(parameters)
            self._exhausted.add(index)
        return None

    async def gives_up(self, child: Child, children: list[Child]) -> bool:
        """Whether a running child should be stopped early."""
        index = child["DefinitionIndex"]
        return await self._searches[index].should_stop(child["Number"], self._history(index, children))

    async def close(self) -> None:
        """End the searches' processes."""
        for search in self._searches:
            await search.close()

    def _history(self, index: int, children: list[Child]) -> list[Trial]:
        # Of a trial that was repeated the last attempt counts.
        own = [child for child in children if child["DefinitionIndex"] == index and not child.get("Repeated")]
        return [*self._past[index], *(_trial(child) for child in own)]


def _share(config: dict[str, Any], definitions: int, index: int) -> int | None:
    """How many training jobs definition `index` gets at most; None where nothing limits their number."""
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    return None if most is None else (most + definitions - 1 - index) // definitions


def _open(config: dict[str, Any], definition: Definition, space: Space, seed: int, share: int | None) -> Search:
    strategy, size = config["Strategy"], space.grid_size()
    given = config.get("StrategyConfig", {})
    if size is not None and share is not None:
        # Of several definitions one may have fewer points than its share: the others get what is left of it.
        share = None if strategy == "Grid" else min(share, size)
    return open_search(
        space,
        strategy=strategy,
        minimize=definition.minimize,
        seed=seed,
        early_stopping=config.get("TrainingJobEarlyStoppingType", "Off"),
        strategy_config=hyperband.resources(given, definition.static) if strategy == "Hyperband" else given,
        max_jobs=share,
    )


def _trial(child: Child) -> Trial:
    values = tuple(child["Values"])
    if "TrainingEndTime" not in child:
        return Trial(child["Number"], child["Parameters"], RUNNING, None, values)
    if "Value" not in child:
        return Trial(child["Number"], child["Parameters"], FAILED, None, values)
    state = STOPPED if child["TrainingJobStatus"] == "Stopped" else SUCCEEDED
    return Trial(child["Number"], child["Parameters"], state, child["Value"], values)


def _past(trials: list[Past]) -> list[Trial]:
    """The trials of the parents, before all others: numbered from -N to -1."""
    return [
        Trial(number, past["Parameters"], STOPPED if past["Stopped"] else SUCCEEDED, past["Value"])
        for number, past in enumerate(trials, -len(trials))
    ]
