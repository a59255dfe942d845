"""delete and status as a person types them: one run, a dry run, what is left to say, and Ctrl-C in a walk."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sagehound.cli.cleanup import delete_command, tell_what_exists
from sagehound.pipeline.clients import connect_local
from sagehound.pipeline.progress import JsonReporter
from sagehound.settings import PipelineSettings
from tests.cli.conftest import clean_environment
from tests.cli.test_interrupted import LONG, SAMPLE, interrupted

_READS = re.compile("Get|List|Describe|Head|Lookup")
NOTHING = "nothing exists and nothing costs of project project5"


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the last step of a command with --json gave."""
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["result"]
    return found


def calls(tmp_path: Path) -> list[str]:
    """Every action that the cloud was asked for so far."""
    return [
        json.loads(line)["action"].partition(":")[2]
        for line in (tmp_path / "cloud" / "calls.jsonl").read_text().splitlines()
    ]


def test_a_run_is_listed_deleted_and_gone(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    assert NOTHING in sagehound("status").stdout.splitlines()
    status = json.loads(sagehound("status", "--json").stdout)
    assert (status["nothing"], status["text"], status["exists"], status["costs"]) == (True, NOTHING, [], [])
    sagehound("upload", "--data", SAMPLE, "--set", "run=mine")
    status = json.loads(sagehound("status", "--json").stdout)
    assert [(one["kind"], one["run"]) for one in status["exists"]] == [("bucket", "mine")]
    bucket = status["exists"][0]["name"]
    assert [one["resource"] for one in status["costs"]] == [bucket]
    assert float(status["usd_a_month"]) > 0
    assert status["charged"] is False
    text = sagehound("status").stdout
    assert "1 thing of project project5:" in text
    assert "nothing is charged: on AWS " in text

    before = len(calls(tmp_path))
    dry = result(sagehound("delete", "mine", "--dry-run", "--json"))
    (line,) = dry["would_delete"]
    assert line.startswith(f"bucket {bucket} (")
    asked = set(calls(tmp_path)[before:])
    assert "ListEndpoints" in asked
    assert [action for action in asked if not _READS.match(action)] == []

    done = sagehound("delete", "nobody", check=False)
    assert done.returncode == 1
    assert "project project5 has nothing of a run nobody" in done.stderr
    assert "Runs that have something: mine (2 things)." in done.stderr
    done = sagehound("delete", "mine", "--all", check=False)
    assert done.returncode == 1
    assert "run mine and --all exclude each other" in done.stderr
    done = sagehound("delete", "mine", "--json", check=False)
    assert done.returncode == 1
    assert "Confirm with --yes." in done.stdout
    assert result(sagehound("delete", "mine", "--yes", "--json"))["deleted"] == [line]
    assert NOTHING in sagehound("status").stdout.splitlines()
    assert "nothing to delete" in sagehound("delete", "--yes").stdout
    assert "nothing to delete" in sagehound("delete", "--all", "--yes").stdout
    assert "nothing exists and nothing costs of any project in us-east-1" in sagehound("status", "--all").stdout


@pytest.mark.timeout(600)
def test_ctrl_c_in_a_walk_says_what_exists_and_how_to_remove_it(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    sagemaker = connect_local(tmp_path / "cloud", "us-east-1").sagemaker

    def extracting() -> bool:
        found = sagemaker.list_training_jobs(NameContains="-features-")["TrainingJobSummaries"]
        return bool(found)

    done = interrupted(tmp_path, "run", "--data", SAMPLE, "--set", "run=cut", "--set", LONG, when=extracting)
    (job,) = [one["TrainingJobName"] for one in sagemaker.list_training_jobs()["TrainingJobSummaries"]]
    assert f"this run has made training job {job}, bucket project5bucket" in done.stdout
    assert "`sagehound delete cut` removes what this run has made" in done.stdout
    deleted = sagehound("delete", "cut", "--yes").stdout
    assert f"training job {job} (stopped)" in deleted
    assert NOTHING in sagehound("status").stdout.splitlines()


def test_a_failure_in_a_walk_says_it_too(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    sagehound("upload", "--data", SAMPLE, "--set", "run=before")
    done = sagehound("run", "--data", "nowhere", "--set", "run=now", "--json", check=False)
    assert done.returncode == 1
    notes = [one for one in map(json.loads, done.stdout.splitlines()) if one["event"] == "note"]
    assert any(one["text"].startswith("this run has made nothing; earlier runs have made bucket ") for one in notes), (
        notes
    )
    assert notes[-1]["delete"] == "sagehound delete now"


def test_a_second_ctrl_c_ends_the_looking(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    clients = connect_local(tmp_path / "cloud", "us-east-1")
    asked = []

    class Pressed:
        """Ctrl-C while the first question about what exists is under way."""

        def listen(self, events: Any) -> None:
            events.register("before-call.lambda.ListFunctions", self.press)

        def press(self, **_: Any) -> None:
            asked.append("ListFunctions")
            signal.raise_signal(signal.SIGINT)

    clients.listen(Pressed())
    out = io.StringIO()
    tell_what_exists(JsonReporter(out), clients, PipelineSettings(run="cut"), target="local")
    first, last = map(json.loads, out.getvalue().splitlines())
    assert asked == ["ListFunctions"]
    assert first["text"] == "what exists was not looked at to its end: `sagehound status` shows it"
    assert last["delete"] == "sagehound delete cut"


def test_the_command_that_removes_it_has_the_options_that_it_needs() -> None:
    given = {"config": Path("my toml"), "set": ["project=dogs", "train.epochs=3"], "target": "aws", "region": ""}
    assert delete_command("r1", **given) == "sagehound delete r1 --config 'my toml' --set project=dogs --target aws"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_delete_that_is_cut_short_is_finished_by_the_next(sagehound, tmp_path, how) -> None:
    sagehound("up", "--detach", "--port", "0")
    sagehound("upload", "--data", SAMPLE)
    # A training that takes its time to stop: a clean-up waits for it, and has deleted nothing else yet.
    (tmp_path / "here" / "mine.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(5), sys.exit(0)))\n"
        "print('begun', flush=True)\ntime.sleep(600)\n"
    )
    sagemaker = connect_local(tmp_path / "cloud", "us-east-1").sagemaker

    def status() -> str:
        jobs = sagemaker.list_training_jobs(NameContains="-train-")["TrainingJobSummaries"]
        if not jobs:
            return ""
        told = sagemaker.describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
        return str(told["SecondaryStatus"])

    interrupted(tmp_path, "train", "--entry-point", "mine.py", when=lambda: status() == "Training")
    deleting = subprocess.Popen(
        [sys.executable, "-m", "sagehound.cli.main", "delete", "--yes"],
        cwd=tmp_path / "here",
        env=clean_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while status() == "Training":
        assert deleting.poll() is None, deleting.communicate()
    deleting.send_signal(how)
    _, said = deleting.communicate()
    if how == signal.SIGINT:
        assert deleting.returncode == 130
        assert "interrupted; 0 of 3 things deleted, training job project5-train-" in said
        assert "Run the same command again: it goes on from here." in said
    there = json.loads(sagehound("status", "--json").stdout)["exists"]
    assert {"training job", "bucket", "role"} <= {one["kind"] for one in there}
    assert "things deleted" in sagehound("delete", "--yes").stdout
    assert status() == "Stopped"
    assert NOTHING in sagehound("status").stdout.splitlines()
