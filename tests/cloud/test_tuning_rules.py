"""When a tuning job is complete or has failed, and which values early stopping is shown: the rules by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sagehound.localcloud.services.sagemaker import tuning_completion as rules
from sagehound.localcloud.services.sagemaker.training_values import MOST, TrainingValues
from sagehound.localcloud.state.store import Store


@pytest.mark.parametrize(
    ("values", "minimize", "expected"),
    [
        ([], True, 0),
        ([1.0], True, 0),
        ([1.0, 0.9, 0.8], True, 0),
        ([1.0, 0.9, 0.95, 0.899, 2.0], True, 3),  # by 0.1 %: no improvement
        ([1.0, 0.995, 0.991, 0.985], True, 0),  # little by little is one too, once it is more than 1 %
        ([0.5, 0.6, 0.7], False, 0),
        ([0.5, 0.4, 0.3], False, 2),
        ([-1.0, -1.5, -1.4], True, 1),
    ],
)
def test_how_many_have_not_improved(values: list[float], minimize: bool, expected: int) -> None:
    assert rules.not_improving(values, minimize) == expected


def test_convergence_takes_twenty_values_and_a_half_without_improvement() -> None:
    assert not rules.converged([1.0] * 19, minimize=True)
    assert rules.converged([1.0] * 20, minimize=True)
    falling = [1 / (number + 1) for number in range(12)]
    assert not rules.converged([*falling, *[1.0] * 11], minimize=True)
    assert rules.converged([*falling, *[1.0] * 12], minimize=True)


def test_criteria() -> None:
    target = {"TargetObjectiveMetricValue": 0.5}
    assert rules.met(target, [0.9, 0.5], minimize=True)
    assert not rules.met(target, [0.9, 0.6], minimize=True)
    assert rules.met(target, [0.1, 0.6], minimize=False)
    stale = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    assert not rules.met(stale, [1.0, 1.0, 1.0], minimize=True)
    assert rules.met(stale, [1.0, 1.0, 1.0, 1.0], minimize=True)
    for enabled, expected in (("Enabled", True), ("Disabled", False)):
        criteria = {"ConvergenceDetected": {"CompleteOnConvergence": enabled}}
        assert rules.met(criteria, [1.0] * 25, minimize=True) is expected
    assert not rules.met({}, [1.0] * 25, minimize=True)


@pytest.mark.parametrize(
    ("statuses", "succeeded", "last", "reason"),
    [
        ([], False, True, None),
        (["Failed"] * 4, False, False, None),
        (["Failed"] * 5, True, True, None),
        (["Failed"] * 5, False, False, rules.NONE_SUCCEEDED),
        (["Failed"] * 4, False, True, rules.ALL_FAILED),
        (["Failed", "Completed"], False, True, rules.NO_OBJECTIVE.format(count=2)),
    ],
)
def test_when_nothing_succeeds(statuses: list[str], succeeded: bool, last: bool, reason: str | None) -> None:
    assert rules.failure(statuses, succeeded, last) == reason


@pytest.fixture
def values(tmp_path: Path) -> Iterator[TrainingValues]:
    store = Store(tmp_path / "cloud.sqlite")
    found = TrainingValues(store)
    found.create_tables()
    yield found
    store.close()


def test_the_series_is_that_of_one_host(values: TrainingValues) -> None:
    values.append("us-east-1", "job", "algo-2", [0.1, 0.2])
    values.append("us-east-1", "job", "algo-1", [9.0])
    values.append("us-east-1", "job", "algo-2", [0.3])
    values.append("us-east-1", "other", "algo-1", [7.0])
    assert values.of("us-east-1", "job") == [0.1, 0.2, 0.3]
    values.delete("us-east-1", "job")
    assert values.of("us-east-1", "job") == []
    assert values.of("us-east-1", "other") == [7.0]


def test_a_series_is_bounded(values: TrainingValues) -> None:
    values.append("us-east-1", "job", "algo-1", [float(number) for number in range(MOST - 1)])
    values.append("us-east-1", "job", "algo-1", [1.0, 2.0, 3.0])
    values.append("us-east-1", "job", "algo-1", [4.0])
    assert values.of("us-east-1", "job")[-1] == 1.0
    assert len(values.of("us-east-1", "job")) == MOST
