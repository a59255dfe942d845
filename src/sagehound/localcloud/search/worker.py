"""The process in which Optuna models the objective: one JSON line asks, one JSON line answers; it keeps nothing

It is run as a script and imports nothing of ours. Every request brings the whole history, so the process can be ended
and started again at any time. It ends by itself when its standard input closes, that is, when its server has ended.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from typing import Any, TextIO

# One thread, because training jobs need the cores meanwhile; set before numpy and torch, which read it at import.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import optuna  # noqa: E402
import torch  # noqa: E402

_MOST_REPEATS = 4


def suggest(request: dict[str, Any]) -> list[float | int]:
    """The next point, as one number a dimension, for a request of `sampler`, `seed`, `space`, `trials` and `taken`."""
    space = {name: _distribution(given) for name, given in request["space"].items()}
    names = list(space)
    study = optuna.create_study(direction="minimize", sampler=_sampler(request["sampler"], request["seed"]))
    for trial in request["trials"]:
        study.add_trial(_trial(space, trial))
    taken = {tuple(point) for point in request["taken"]}
    for _ in range(_MOST_REPEATS):
        asked = study.ask(space)
        point = [asked.params[name] for name in names]
        if tuple(point) not in taken:
            break
        # The point was tried. Asked for, it counts as one that is running, which makes its place less attractive.
    return point


def _distribution(given: dict[str, Any]) -> optuna.distributions.BaseDistribution:
    if given["kind"] == "float":
        return optuna.distributions.FloatDistribution(0.0, 1.0)
    if given["kind"] == "int":
        return optuna.distributions.IntDistribution(given["low"], given["high"], log=given["log"])
    return optuna.distributions.CategoricalDistribution(range(given["count"]))


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)


def _trial(space: dict[str, optuna.distributions.BaseDistribution], given: dict[str, Any]) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[given["state"]],
        value=given["value"],
        params=dict(zip(space, given["point"], strict=True)),
        distributions=space,
        intermediate_values=dict(enumerate(given["steps"], start=1)),
    )


def warm_up() -> None:
    """Suggest once for nobody: what a first suggestion loads (seconds of it) has passed when somebody asks."""
    trials = [{"state": "COMPLETE", "point": [place], "value": place, "steps": []} for place in (0.25, 0.75)]
    suggest({"sampler": "gp", "seed": 0, "space": {"x": {"kind": "float"}}, "trials": trials, "taken": []})


def main(requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if "--warm-up" in sys.argv:
        warm_up()
    for line in requests:
        request = json.loads(line)
        try:
            answer: dict[str, Any] = {"id": request["id"], "point": suggest(request)}
        except Exception as error:  # noqa: BLE001 - said to the server, which raises it there
            traceback.print_exc()
            answer = {"id": request["id"], "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Whatever a library prints goes to standard error, so that it cannot be taken for an answer.
    answers_only = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    main(sys.stdin, answers_only)
