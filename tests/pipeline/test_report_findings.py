"""The findings: what is said of chance levels, of instances that trained alone, of failures and of edges."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sagehound.pipeline.report.chance import chance_level, share_is_chance, verdict_of_best
from sagehound.pipeline.report.comparison import compare, speed_words
from sagehound.pipeline.report.documents import Bin, Metrics, SplitFigures
from sagehound.pipeline.report.findings import find
from sagehound.pipeline.report.job_output import JobOutput
from sagehound.pipeline.report.jobs import JobReport
from sagehound.pipeline.report.tuning import Hyperparameter, Trial, Tuning, plain

ONE = JobReport("dogs-train-1", "training, 1 instance", "Completed", "ml.m5.large", 1, 100.0, 120.0)
FIVE = JobReport("dogs-train-5", "training, 5 instances", "Completed", "ml.m5.large", 5, 60.0, 400.0)


def trial(number: int, objective: float | None, rate: str = "0.01", **changes: object) -> Trial:
    made = Trial(number, f"hpo-{number}", "Completed", {"learning_rate": rate}, objective, "", 3.0, 4.0, False)
    return replace(made, **changes)  # type: ignore[arg-type]


def tuning(trials: list[Trial], objective: str = "validation:loss", **changes: object) -> Tuning:
    ranges = [Hyperparameter("learning_rate", (0.001, 0.1), True, ())]
    made = Tuning(
        name="hpo",
        status="Completed",
        strategy="Bayesian",
        objective=objective,
        minimize=True,
        early_stopping="Off",
        parallel=1,
        wanted=len(trials),
        hyperparameters=ranges,
        trials=trials,
        seconds=9.0,
        failure="",
        instance_type="ml.m5.large",
        instance_count=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def texts(severity: str, jobs: list[JobReport], search: Tuning | None = None, classes: int = 133) -> list[str]:
    found = find(jobs, search, compare(jobs), classes)
    return [finding.text for finding in found if finding.severity == severity]


@pytest.mark.parametrize(
    ("metric", "level"),
    [
        ("validation:loss", math.log(133)),
        ("average test loss", math.log(133)),
        ("validation:accuracy", 1 / 133),
        ("validation:top5", 5 / 133),
        ("pictures a second", None),
    ],
)
def test_the_chance_level_of_a_metric(metric: str, level: float | None) -> None:
    assert chance_level(metric, 133) == (None if level is None else pytest.approx(level))


@pytest.mark.parametrize(
    ("metric", "value", "classes", "guesses"),
    [
        ("validation:loss", 4.89, 133, True),
        ("validation:loss", 4.81, 133, True),
        ("validation:loss", 4.5, 133, False),
        ("validation:loss", 313.0, 133, None),  # loss times batch size says nothing per picture
        ("validation:accuracy", 0.0075, 133, True),
        ("validation:accuracy", 0.5, 133, False),
        ("Accuracy", 62.0, 133, False),  # in per cent
        ("validation:accuracy", 0.5, 2, True),
    ],
)
def test_who_guesses_is_told(metric: str, value: float, classes: int, guesses: bool | None) -> None:
    verdict = verdict_of_best(tuning([trial(1, value, best=True)], metric), classes)
    assert verdict is not None
    assert verdict.guesses is guesses


@pytest.mark.parametrize(("metric", "classes"), [("pictures a second", 133), ("validation:loss", 0)])
def test_what_has_no_chance_level_is_not_judged(metric: str, classes: int) -> None:
    assert verdict_of_best(tuning([trial(1, 0.0, best=True)], metric), classes) is None


def test_an_accuracy_is_chance_within_what_so_many_pictures_can_tell() -> None:
    assert share_is_chance(0.15, 10, 80)
    assert not share_is_chance(0.15, 10, 8000)
    assert not share_is_chance(0.0, 0, 80)


def test_a_best_trial_at_chance_level_is_an_error() -> None:
    search = tuning([trial(1, 4.89, best=True), trial(2, 4.9)])
    (said,) = texts("error", [], search)
    assert "The best trial is at chance level: validation:loss 4.89, ln 133 = 4.89. It learned nothing" in said
    assert not texts("error", [], tuning([trial(1, 0.9, best=True), trial(2, 4.9)]))


def test_an_overconfident_best_trial_that_is_mostly_right_is_no_guesser() -> None:
    sure = trial(1, 3.9, best=True, metrics={"validation:accuracy": 0.74})
    assert not texts("error", [], tuning([sure]), classes=10)
    assert texts("error", [], tuning([replace(sure, metrics={"validation:accuracy": 0.1})]), classes=10)


def test_an_objective_that_says_nothing_is_a_warning() -> None:
    (said,) = texts("warning", [], tuning([trial(1, 313.0, best=True)]))
    assert said.startswith("Whether the best trial is better than guessing cannot be judged: validation:loss 313")


def test_failed_trials_are_counted_with_the_reason_of_the_first() -> None:
    search = tuning([trial(1, None, status="Failed", failure="the loss is nan"), trial(2, 0.5, best=True)])
    (said,) = texts("warning", [], search)
    assert said == "1 of 2 trials failed; hpo-1: the loss is nan"


def test_a_search_without_a_value_has_no_best() -> None:
    assert texts("error", [], tuning([trial(1, None)])) == [
        "No trial has a value of validation:loss: there is no best one."
    ]
    (said,) = texts("warning", [], tuning([trial(1, None)]))
    assert said.startswith("1 of 1 trials ended without a value of validation:loss; the first is hpo-1")
    assert not texts("warning", [], tuning([trial(1, None, status="InProgress")]))
    assert texts("error", [], tuning([], status="Failed", failure="no role")) == ["The tuning job failed: no role"]


def test_choosing_on_the_test_split_is_a_warning() -> None:
    (said,) = texts("warning", [], tuning([trial(1, 0.5, best=True)], objective="average test loss"))
    assert "chosen by average test loss" in said


@pytest.mark.parametrize(("rate", "end"), [("0.1", "upper"), ("0.001", "lower"), ("0.01", ""), ("0.05", "")])
def test_a_best_value_at_the_end_of_its_range_is_noted(rate: str, end: str) -> None:
    search = tuning([trial(1, 0.5, rate, best=True), *(trial(number, 0.6) for number in (2, 3, 4))])
    said = texts("note", [], search)
    assert len(said) == bool(end)
    assert all(f"lies at the {end} end of its range (0.001 to 0.1)" in text for text in said)


def test_several_instances_are_compared_in_bill_and_time() -> None:
    comparison = compare([ONE, FIVE])
    assert comparison is not None
    assert comparison.sentence() == "5 instances: 3.3 x the bill, 40 % faster"
    assert comparison.explanation() == (
        "One training over 5 instances took 60 s instead of 100 s, and 400 billable seconds instead of 120."
    )
    assert texts("note", [ONE, FIVE])[0].startswith("5 instances: 3.3 x the bill, 40 % faster. ")
    assert not texts("warning", [ONE, FIVE])
    local = compare([ONE, FIVE], one_machine=True)
    assert local is not None
    assert local.explanation().endswith("share the cores of one machine; on AWS each has its own.")


def test_instances_that_trained_alone_are_told_as_such() -> None:
    copies = replace(FIVE, seconds=100.0, billable_seconds=600.0, independent_copies=True)
    (said,) = texts("warning", [ONE, copies])
    assert said.startswith("5 x the bill: this script is not distributed. Each of the 5 instances ran")
    (said,) = texts("warning", [copies])  # also where there is nothing to compare it with
    assert said == "5 x the bill: this script is not distributed (dogs-train-5)."


def test_instances_that_make_it_slower_are_a_warning() -> None:
    (said,) = texts("warning", [ONE, replace(FIVE, seconds=130.0)])
    assert "30 % slower" in said
    (said,) = texts("warning", [ONE, replace(FIVE, seconds=530.0)])
    assert "3.3 x the bill, 5.3 x as long" in said


def test_trainings_with_other_hyperparameters_are_told_apart() -> None:
    def trained(job: JobReport, rate: float) -> JobReport:
        return replace(job, output=JobOutput(Metrics(133, 5, {"learning_rate": rate, "epochs": 4}, [], {})))

    (said,) = texts("warning", [trained(ONE, 0.1), trained(FIVE, 0.01)])
    assert said.endswith("are not the same training: they differ in learning_rate.")
    assert not texts("warning", [trained(ONE, 0.1), trained(FIVE, 0.1)])


def test_only_completed_trainings_are_compared() -> None:
    assert compare([ONE]) is None
    assert compare([ONE, replace(FIVE, status="Failed")]) is None
    assert compare([ONE, replace(FIVE, seconds=None)]) is None
    assert speed_words(1.0) == "0 % faster"


def test_failed_and_unfinished_jobs_are_told() -> None:
    failed = replace(ONE, status="Failed", failure="AlgorithmError: exit code 1")
    assert texts("error", [failed]) == ["Training, 1 instance (dogs-train-1) failed: AlgorithmError: exit code 1"]
    assert texts("warning", [replace(ONE, status="Stopped")]) == [
        "Training, 1 instance (dogs-train-1) is Stopped: its figures may be incomplete."
    ]
    damaged = replace(ONE, damage="metrics.json is not as expected")
    (said,) = texts("warning", [damaged])
    assert said.endswith("its output cannot be read: metrics.json is not as expected")


def metrics(accuracy: float, losses: list[float], *, ece: float = 0.01, split: str = "test") -> JobReport:
    bins = [Bin(0.9, 1.0, 100, 0.95, accuracy)]
    figures = SplitFigures(100, 1.0, accuracy, 1.0, [], [], ece, bins)
    history = [{"validation:loss": loss} for loss in losses]
    return replace(ONE, output=JobOutput(Metrics(133, 1, {}, history, {split: figures})))


def test_a_model_that_guesses_is_an_error() -> None:
    (said,) = texts("error", [metrics(0.0075, [4.89])])
    assert said == "Training, 1 instance (dogs-train-1) guesses: test top-1 is 0.8 %, and chance is 0.8 %."


def test_overconfidence_overfitting_and_a_missing_test_split_are_noted() -> None:
    said = texts("note", [metrics(0.8, [1.0, 0.8, 0.9], ece=0.15, split="validation")])
    assert len(said) == 3
    assert "no figures of a test split" in said[0]
    assert "lowest after epoch 2 of 3 (0.800) and rose to 0.900" in said[1]
    assert "surer than it is right: 95.0 % sure on average, 80.0 % right" in said[2]
    assert not texts("note", [metrics(0.94, [1.0, 0.8, 0.81])])


def test_the_gravest_findings_come_first() -> None:
    search = tuning([trial(1, None, status="Failed", failure="x"), trial(2, 4.9, best=True)])
    order = [finding.severity for finding in find([ONE, FIVE], search, compare([ONE, FIVE]), 133)]
    assert order == ["error", "warning", "note"]


@pytest.mark.parametrize(("told", "value"), [('"64"', "64"), ("0.01", "0.01"), ('"', '"'), ('"a"b"', '"a"b"')])
def test_values_lose_the_quotes_of_the_sdk(told: str, value: str) -> None:
    assert plain(told) == value
