"""The best of 24 trials: our Bayesian search beside Optuna's own study with the same sampler, and Random as the floor.

Run from the project's folder: `python -m benchmarks tuning_quality`. Options of the script itself: `--seeds 10
--head-seeds 3 --trials 24`. The same seeds for all; one trial after another.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
import warnings
from collections.abc import Sequence

# As the search's own worker has it, and read when numpy and torch are imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import optuna  # noqa: E402
import torch  # noqa: E402
from scipy.stats import wilcoxon  # noqa: E402

from benchmarks.tuning_objectives import FUNCTIONS, PICTURES, Objective, Values, head  # noqa: E402
from sagehound.localcloud.search.space import Space  # noqa: E402
from sagehound.localcloud.search.strategy import open_search  # noqa: E402
from sagehound.localcloud.search.trial import Trial  # noqa: E402

SEARCHES = ("ours", "Optuna", "Random")


async def _searched(objective: Objective, strategy: str, seed: int, trials: int) -> float:
    """The best value of a search of ours."""
    space = Space.of(objective.ranges)
    search = open_search(
        space, strategy=strategy, minimize=True, seed=seed, early_stopping="Off", strategy_config={}, max_jobs=trials
    )
    history: list[Trial] = []
    try:
        for number in range(trials):
            point = await search.ask(number, history)
            assert point is not None
            history.append(Trial(number, point, "Succeeded", objective.value(point)))
    finally:
        await search.close()
    return min(trial.value for trial in history if trial.value is not None)


def _optunas(objective: Objective, seed: int, trials: int) -> float:
    """The best value of Optuna's own study, told the ranges in Optuna's words."""

    def value(trial: optuna.Trial) -> float:
        given: Values = {}
        for one in objective.ranges.get("ContinuousParameterRanges", []):
            log = one["ScalingType"] == "Logarithmic"
            given[one["Name"]] = trial.suggest_float(
                one["Name"], float(one["MinValue"]), float(one["MaxValue"]), log=log
            )
        for one in objective.ranges.get("CategoricalParameterRanges", []):
            given[one["Name"]] = trial.suggest_categorical(one["Name"], one["Values"])
        return objective.value(given)

    study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=seed))
    study.optimize(value, n_trials=trials)
    return study.best_value


def _measured(objective: Objective, seeds: Sequence[int], trials: int) -> dict[str, list[float]]:
    return {
        "ours": [asyncio.run(_searched(objective, "Bayesian", seed, trials)) for seed in seeds],
        "Optuna": [_optunas(objective, seed, trials) for seed in seeds],
        "Random": [asyncio.run(_searched(objective, "Random", seed, trials)) for seed in seeds],
    }


def _say(objective: Objective, found: dict[str, list[float]], seconds: float) -> bool:
    """Print one objective's figures; whether the median of ours is at most Optuna's."""
    print(f"\n{objective.name}: best of each search, {len(found['ours'])} seeds, {seconds:.0f} s")
    print(f"  {'':8}{'median':>10}{'mean':>10}{'least':>10}{'greatest':>10}")
    for name in SEARCHES:
        values = found[name]
        figures = (statistics.median(values), statistics.fmean(values), min(values), max(values))
        print(f"  {name:8}" + "".join(f"{figure:10.4f}" for figure in figures))
    pairs = list(zip(found["ours"], found["Optuna"], strict=True))
    better, same = sum(one < other for one, other in pairs), sum(one == other for one, other in pairs)
    differences = [one - other for one, other in pairs]
    line = (
        f"  ours against Optuna, seed by seed: better {better}, equal {same}, worse {len(pairs) - better - same}; "
        f"median difference {statistics.median(differences):+.4f}"
    )
    if len(pairs) >= 6 and any(differences):  # Below six pairs the test cannot reach 0.05 either way.
        better_p, worse_p = (wilcoxon(differences, alternative=side).pvalue for side in ("less", "greater"))
        line += (
            f"\n  Wilcoxon's signed-rank test, one-sided: ours better p = {better_p:.3f}, ours worse p = {worse_p:.3f}"
        )
    print(line, flush=True)
    return statistics.median(found["ours"]) <= statistics.median(found["Optuna"])


def main() -> None:
    """Measure each objective and say for each whether ours is at least as good."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--head-seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=24)
    given = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    print(
        f"{given.trials} trials a search, one after another, on one core ({platform.machine()}, Python "
        f"{platform.python_version()}, Optuna {optuna.__version__}, torch {torch.__version__}); less is better"
    )
    began, as_good = time.monotonic(), {}
    for objective, seeds in [*((one, given.seeds) for one in FUNCTIONS), (head(), given.head_seeds)]:
        if objective is None:
            print(f"\nThe head search is left out: there are no pictures at {PICTURES} (SAGEHOUND_TEST_PICTURES).")
            continue
        here = time.monotonic()
        found = _measured(objective, range(seeds), given.trials)
        as_good[objective.name] = _say(objective, found, time.monotonic() - here)
    print()
    for name, good in as_good.items():
        print(f"{name}: the median of ours is {'at least as good as' if good else 'worse than'} Optuna's")
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
