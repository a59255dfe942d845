"""Tunings against a running cloud, with scripts of a person's own: found again, joined, refused, stopped.

The scripts are plain Python without torch, so that a trial is over in a second.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sagehound.cli.log_lines import follow_logs
from sagehound.errors import StepFailed
from sagehound.pipeline.belongings.thing import Kind
from sagehound.pipeline.cleanup import delete_belongings, find_belongings
from sagehound.pipeline.train import train
from sagehound.pipeline.tune import tune
from sagehound.pipeline.tuning_job import Tuning, best_of_latest, describe_tuning, latest_tuning
from sagehound.settings import PipelineSettings, TuneSettings

pytestmark = pytest.mark.timeout(300)

REGEX = r"Testing Loss: ([0-9.]+)"
PARABOLA = """
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--momentum", type=float, default=0.0)
    told, _ = parser.parse_known_args()
    for epoch in range(3):
        print(f"Testing Loss: {0.1 + (told.lr - 0.3) ** 2 + 1 / (epoch + 1):.4f}")
    print(f"momentum was {told.momentum}")
"""


Searched = Callable[..., Tuning]


@pytest.fixture
def script(tmp_path: Path, settings: PipelineSettings) -> Callable[..., PipelineSettings]:
    """`script(source, **changes)`: settings that tune this script over lr."""

    def write(source: str, **changes: Any) -> PipelineSettings:
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(source))
        options = {
            "entry_point": str(path),
            "objective": "Test Loss",
            "objective_regex": REGEX,
            "ranges": {"lr": {"min": 0.0, "max": 1.0}},
            **changes,
        }
        return dataclasses.replace(settings, tune=dataclasses.replace(TuneSettings(), **options))

    return write


@pytest.fixture
def search(clients, names, uploaded, recorded) -> Searched:
    """`search(settings, ...)`: the tune step; the pictures are uploaded first."""

    def do(settings: PipelineSettings, **options: Any) -> Tuning:
        data = uploaded(settings)
        with recorded.reporter.step("tune") as step:
            return tune(clients, names, settings, data, None, recorded.reporter, step, **options)

    return do


def test_a_search_is_made_once_found_again_and_made_anew(script, search, clients, names, recorded, uploaded) -> None:
    given = script(PARABOLA, strategy="Random", max_jobs=4, max_parallel_jobs=2)
    first = search(given)
    result = recorded.steps()["tune"]["result"]
    assert result["reused"] is False
    assert result["at_chance"] is False
    assert len(first.trials) == 4
    values = {trial.job_name: trial.value for trial in first.trials}
    assert first.value == values[first.best_job] == min(values.values())  # type: ignore[type-var]
    lr = first.hyperparameters["lr"]
    assert first.value == pytest.approx(0.1 + (lr - 0.3) ** 2 + 1 / 3, abs=1e-3)  # the last match counts
    ended = [event for event in recorded.events("trial") if event["status"] == "Completed"]
    assert {event["number"] for event in ended} == {1, 2, 3, 4}

    again = search(given)
    assert again == first
    assert recorded.steps()["tune"]["result"]["reused"] is True
    anew = search(given, again=True)
    assert anew.name != first.name
    # The same seed: the same trials.
    assert sorted(trial.tuned["lr"] for trial in anew.trials) == sorted(trial.tuned["lr"] for trial in first.trials)
    latest = latest_tuning(clients, names)
    assert latest is not None
    assert latest["HyperParameterTuningJobName"] == anew.name

    # Another search begins with what the last one found.
    warm = search(dataclasses.replace(given, tune=dataclasses.replace(given.tune, warm_start="previous", max_jobs=2)))
    described = describe_tuning(clients, warm.name)
    assert described is not None
    assert described["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": anew.name}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }

    # The best values go to a training of the same script, with what it has beside them.
    best = best_of_latest(clients, names, ours=False)
    trained = dataclasses.replace(
        given,
        train=dataclasses.replace(given.train, entry_point=given.tune.entry_point, hyperparameters={"momentum": 0.9}),
    )
    with recorded.reporter.step("train") as step:
        model = train(
            clients, names, trained, uploaded(given), None, recorded.reporter, step, tuned=best.hyperparameters
        )
    assert model.metrics["Test Loss"] == pytest.approx(best.value, abs=1e-3)
    assert "momentum was 0.9" in list(follow_logs(clients, model.job_name, follow=False))
    # A tuning's name shows the lines of all its trials, each with its number.
    lines = list(follow_logs(clients, first.name, follow=True))
    assert len([line for line in lines if "Testing Loss" in line]) == 12
    assert {line.split()[0] for line in lines if "momentum was" in line} == {"[001]", "[002]", "[003]", "[004]"}


def test_a_search_that_only_guesses_is_not_gone_on_with_unasked(script, search, recorded) -> None:
    given = script('print("Testing Loss: 1.0986")')  # ln 3: the loss of a guesser between three classes
    with pytest.raises(StepFailed) as failed:
        search(given)
    assert failed.value.cause == (
        "the best of 2 trials is at chance level (Test Loss 1.1, ln 3 = 1.1): the search found nothing"
    )
    assert "--anyway" in failed.value.hint
    search(given, anyway=True)
    assert "the search found nothing" in recorded.notes()[-1]
    assert recorded.steps()["tune"]["result"]["at_chance"] is True


def test_an_objective_that_says_nothing_is_told_so(script, search, recorded) -> None:
    search(script('print("Testing Loss: 70")'))  # floored, or loss x batch size
    assert "whether the best trial is better than guessing cannot be judged" in recorded.notes()[-1]
    assert recorded.steps()["tune"]["result"]["at_chance"] is None


def test_a_trial_that_fails_is_told_and_does_not_spoil_the_rest(script, search, clients, recorded) -> None:
    given = script(
        """
        import sys
        lr = float(sys.argv[sys.argv.index("--lr") + 1])
        if lr == 2:
            raise SystemExit("out of luck")
        print(f"Testing Loss: {lr / 10}")
        """,
        strategy="Grid",
        ranges={"lr": [1, 2, 3]},
    )
    tuning = search(given)
    assert tuning.hyperparameters == {"lr": "1"}
    statuses = {trial.shown["lr"]: trial.status for trial in tuning.trials}
    assert statuses == {"1": "Completed", "2": "Failed", "3": "Completed"}
    (note,) = [note for note in recorded.notes() if "failed" in note]
    assert "out of luck" in note
    assert "`sagehound logs " in note


def test_a_search_of_which_every_trial_fails_says_why(script, search, clients) -> None:
    for number in (1, 2):
        with pytest.raises(StepFailed) as failed:
            search(script('raise SystemExit("out of luck")'))
        assert failed.value.step == "tune"
        assert "Failed: " in failed.value.cause
        assert "out of luck" in failed.value.cause
        name = failed.value.hint.split("`")[1].removeprefix("sagehound logs ")
        assert "out of luck" in "\n".join(follow_logs(clients, name, follow=False))
        # The next try is another tuning job: a failed one is not taken for done.
        found = clients.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name.split("-hpo-")[0])
        assert len(found["HyperParameterTuningJobSummaries"]) == number


def test_a_metric_that_never_appears_is_said(script, search) -> None:
    with pytest.raises(StepFailed) as failed:
        search(script('print("loss 0.3")'))
    assert "No objective metrics found" in failed.value.cause
    assert "tune.objective_regex" in failed.value.hint


def test_delete_stops_a_search_that_runs(script, search, clients, names, recorded) -> None:
    given = script("import time\nprint('begun', flush=True)\ntime.sleep(600)", max_jobs=3, max_parallel_jobs=2)
    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(search, given)
        trials: list[str] = []
        while len(trials) < 2:
            assert not searching.done(), searching.result()
            jobs = clients.sagemaker.list_training_jobs(NameContains=names.tuning_prefix)["TrainingJobSummaries"]
            trials = [job["TrainingJobName"] for job in jobs]
        found = find_belongings(clients, names)
        (tuning,) = found.names(Kind.TUNING_JOB)
        assert f"tuning job {tuning} (stopped)" in found.lines()
        with recorded.reporter.step("delete") as step:
            delete_belongings(clients, found, step)
        with pytest.raises(StepFailed) as stopped:
            searching.result()
        assert f"tuning job {tuning} Stop" in stopped.value.cause
    for trial in trials:
        assert clients.sagemaker.describe_training_job(TrainingJobName=trial)["TrainingJobStatus"] == "Stopped"
    assert find_belongings(clients, names).lines() == []
