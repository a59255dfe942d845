"""The charts of a tuning job: its trials as marks, a scatter per hyperparameter, and the best so far"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from sagehound.pipeline.report.chance import chance_level
from sagehound.pipeline.report.charts.scales import short
from sagehound.pipeline.report.charts.search import (
    Mark,
    Objective,
    draw_best_so_far,
    draw_scatter,
    hyperparameter_scale,
)
from sagehound.pipeline.report.tuning import Hyperparameter, Trial, Tuning


@dataclass(frozen=True)
class SearchCharts:
    """One scatter a hyperparameter (its name and chart), and the best so far over the trials."""

    scatters: list[tuple[str, Markup]]
    best_so_far: Markup
    chance: float | None


def draw_search(tuning: Tuning, classes: int) -> SearchCharts:
    """All charts of a search that has trials; they share the axis of the objective."""
    values = [trial.objective for trial in tuning.trials if trial.objective is not None]
    chance = chance_level(tuning.objective, classes)
    objective = Objective.of(tuning.objective, values, chance)
    over_time = [_mark(trial, float(trial.number), tuning) for trial in tuning.trials]
    return SearchCharts(
        scatters=[(one.name, _scatter(one, tuning, objective)) for one in tuning.hyperparameters],
        best_so_far=draw_best_so_far(objective, over_time, minimize=tuning.minimize),
        chance=chance,
    )


def _scatter(one: Hyperparameter, tuning: Tuning, objective: Objective) -> Markup:
    placed = [(trial, _value(one, trial)) for trial in tuning.trials]
    known = [(trial, value) for trial, value in placed if value is not None]
    scale = hyperparameter_scale(
        [value for _, value in known], one.limits, logarithmic=one.logarithmic, categories=one.categories
    )
    title = f"{one.name} (logarithmic)" if one.logarithmic else one.name
    return draw_scatter(objective, scale, title, [_mark(trial, value, tuning) for trial, value in known])


def _value(one: Hyperparameter, trial: Trial) -> float | None:
    """Where a trial lies on a hyperparameter's axis; trials of one category lie side by side."""
    words = trial.values.get(one.name)
    if words is None:
        return None
    if one.categories:
        if words not in one.categories:
            return None
        # Spread by the golden ratio: neighbours in time lie apart, and the same trial lies at the same place always.
        return one.categories.index(words) + ((trial.number * 0.618034) % 1 - 0.5) * 0.5
    try:
        value = float(words)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _mark(trial: Trial, x: float, tuning: Tuning) -> Mark:
    found = f"{tuning.objective} {short(trial.objective)}" if trial.objective is not None else "no value"
    status = "" if trial.status == "Completed" else f", {trial.status}"
    return Mark(x, trial.objective, f"{trial.label}: {found}{status}", trial.best, trial.status == "Stopped")
