"""A load on a real endpoint and a real function of a real cloud: figures, instances, cold starts, and the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients, connect_local
from sagehound.pipeline.load.payloads import payloads_of
from sagehound.pipeline.load.plan import EndpointTarget, FunctionTarget, LoadPlan
from sagehound.pipeline.load.result import LoadResult, require_place
from sagehound.pipeline.load.signing import Payload
from sagehound.pipeline.load.step import load
from sagehound.pipeline.load.words import lines_of
from tests.cloud.hosting import Hosting, answering
from tests.cloud.lambda_functions import Bench
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded
from tests.waiting import wait_for

BODY = [Payload("body", b"x", "text/plain")]
FUNCTION = (
    "import time\ntime.sleep(0.3)\ndef handler(event, context):\n    time.sleep(0.05)\n    return len(event['image'])\n"
)


def test_a_load_on_an_endpoint_is_answered_counted_and_watched(
    cloud: CloudProcess, clients: Clients, recorded: Recorded, tmp_path: Path
) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("load", answering("yes"), InitialInstanceCount=2)
    with recorded.reporter.step("load") as step:
        result = load(
            clients, EndpointTarget(name), BODY, LoadPlan(rate=40, duration=3, ramp=1), recorded.reporter, step
        )
    assert result.sent == result.answered == 100
    assert not result.errors
    assert sum(one["answered"] for one in result.seconds) == 100
    assert result.seconds[0]["sent"] == pytest.approx(20, abs=8)
    assert 0 < result.percentiles["p50"] <= result.percentiles["p99"] <= result.percentiles["max"]
    assert [(one["current"], one["desired"]) for one in result.instances] == [(2, 2), (2, 2)]
    assert result.cold_starts is None
    assert (result.speed, result.ended, result.plan["loop"]) == (1.0, "completed", "open")
    assert recorded.events("load")[-1]["sent"] > 0
    assert "100 sent, 100 answered" in recorded.steps()["load"]["text"]
    result.write(tmp_path / "load.json")
    assert LoadResult.read(tmp_path / "load.json") == result
    hosting.delete(name)


def test_instances_that_come_during_the_load_stand_where_they_came(
    cloud: CloudProcess, clients: Clients, recorded: Recorded
) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("grow", answering("yes"))
    more = hosting.config("more", hosting.variant(hosting.model("more", answering("yes")), InitialInstanceCount=2))
    asked: list[float] = []

    def update() -> None:
        asked.append(time.time())
        hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=more)

    timer = threading.Timer(1.0, update)
    timer.start()
    result = load(clients, EndpointTarget(name), BODY, LoadPlan(rate=20, duration=8), recorded.reporter)
    timer.join()
    assert result.instances[0]["current"] == 1
    assert result.instances[-1]["current"] == 2
    grown = next(one["second"] for one in result.instances if one["current"] == 2)
    began = datetime.fromisoformat(result.started).timestamp()
    assert asked[0] - began - 0.01 <= grown <= 8.5
    assert not result.errors
    hosting.settled(name)
    hosting.delete(name)


def test_cold_starts_of_a_function_are_counted_exactly(
    cloud: CloudProcess, clients: Clients, recorded: Recorded, tmp_path: Path
) -> None:
    bench = Bench(cloud)
    name = bench.create(FUNCTION, Timeout=30)
    (tmp_path / "event.json").write_text(json.dumps({"image": "abcd"}))
    target = FunctionTarget(name)
    events = payloads_of(target, [tmp_path / "event.json"])
    result = load(clients, target, events, LoadPlan(concurrency=3, duration=2), recorded.reporter)
    assert not result.errors
    assert result.cold_starts == 3  # three callers at once, each first call with an environment of its own
    assert sum(one.get("cold", 0) for one in result.seconds) == 3
    assert result.plan["loop"] == "closed"
    assert result.corrected is not None
    again = load(clients, target, events, LoadPlan(rate=10, duration=1), recorded.reporter)
    assert (again.cold_starts, again.answered) == (0, 10)


def test_environments_that_are_kept_ready_are_seen_and_start_nobody_cold(
    cloud: CloudProcess, clients: Clients, recorded: Recorded
) -> None:
    bench = Bench(cloud)
    name = bench.create(FUNCTION, Timeout=30)
    version = bench.client.publish_version(FunctionName=name)["Version"]
    bench.active(name, Qualifier=version)
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    bench.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    wait_for(lambda: _status(bench, name) == "READY", "the environments")
    events = [Payload("event", b'{"image": "abcd"}', "application/json")]
    result = load(clients, FunctionTarget(name, "live"), events, LoadPlan(rate=10, duration=2), recorded.reporter)
    assert result.concurrency[0] == {"second": 0, "requested": 2, "allocated": 2, "available": 2} | {
        "second": result.concurrency[0]["second"]
    }
    assert (result.answered, result.cold_starts) == (20, 0)
    assert result.provisioned == {"invocations": 20, "spillover": 0}
    more = load(clients, FunctionTarget(name, "live"), events, LoadPlan(concurrency=4, duration=2), recorded.reporter)
    assert more.provisioned is not None
    assert more.provisioned["spillover"] > 0  # four at once, and two are kept ready
    assert sum(more.provisioned.values()) == more.answered
    assert more.cold_starts == 2


def _status(bench: Bench, name: str) -> str:
    found = bench.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
    return str(found["Status"])


def test_a_target_that_is_not_there_is_refused_before_anything_is_sent(clients: Clients, recorded: Recorded) -> None:
    for target in (EndpointTarget("nobody"), FunctionTarget("nobody", "live")):
        with pytest.raises(StepFailed, match="nobody"):
            load(clients, target, BODY, LoadPlan(rate=1, duration=1), recorded.reporter)


def test_times_of_a_fast_clock_become_seconds_of_the_load(fast_cloud: CloudProcess) -> None:
    clients = connect_local(fast_cloud.data_dir, fast_cloud.region)
    assert clients.clock.speed == 60
    bench = Bench(fast_cloud)
    made = bench.iam.get_role(RoleName=bench.role_name)["Role"]["CreateDate"].timestamp()
    assert clients.clock.cloud_time(time.time()) >= made
    assert time.time() - 60 < clients.clock.real_time(made) <= time.time()


def begun(cloud: CloudProcess, folder: Path, endpoint: str, *options: str) -> subprocess.Popen[str]:
    """`sagehound load` on an endpoint, in a process of its own that works in this folder."""
    (folder / "body.txt").write_text("x")
    command = [sys.executable, "-m", "sagehound.cli.main", "load", "--endpoint", endpoint, "--rate", "20", *options]
    command += ["--picture", "body.txt", "--json", "--data-dir", str(cloud.data_dir)]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def shown(process: subprocess.Popen[str], wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Read until the load stands like this."""
    assert process.stdout is not None
    told: dict[str, Any] = {}
    for line in process.stdout:
        told = json.loads(line)
        if told["event"] == "load" and wanted(told):
            return
    raise AssertionError(f"it ended before, with {told}")


def interrupted(process: subprocess.Popen[str], folder: Path) -> LoadResult:
    """The result that Ctrl-C leaves."""
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    result = LoadResult.read(folder / "sagehound-load.json")
    assert result.ended == "interrupted"
    assert result.sent == result.answered + result.generator["unanswered"]
    return result


def test_ctrl_c_saves_what_was_measured_and_ends_with_130(cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("interrupted", answering("yes"))
    process = begun(cloud, tmp_path, name, "--duration", "120")
    shown(process, lambda told: told["answered"] > 20)
    result = interrupted(process, tmp_path)
    assert 20 < result.answered < 2400
    assert result.elapsed < 120
    hosting.delete(name)


def test_ctrl_c_while_the_instances_are_watched_is_an_interruption_too(cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("watched", answering("yes"))
    process = begun(cloud, tmp_path, name, "--duration", "1", "--after", "120")
    shown(process, lambda told: told["answered"] == 20 and told["second"] > 3)
    result = interrupted(process, tmp_path)
    assert (result.sent, result.answered, result.errors) == (20, 20, {})
    assert lines_of(result)[0] == (
        "interrupted when every request had been answered; only the watching afterwards was cut short"
    )
    hosting.delete(name)


def test_a_result_that_cannot_be_written_after_all_is_told(cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("unwritten", answering("yes"))
    (tmp_path / "place").mkdir()
    process = begun(cloud, tmp_path, name, "--duration", "3", "--save", "place/x.json")
    shown(process, lambda told: True)
    (tmp_path / "place").rmdir()
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    told = [json.loads(line) for line in rest.splitlines()]
    assert any("60 sent, 60 answered" in one["text"] for one in told if one["event"] == "note")
    assert "place/x.json cannot be written" in told[-1]["cause"]
    hosting.delete(name)


def test_an_onlooker_that_fails_costs_no_figures(cloud: CloudProcess, clients: Clients, recorded: Recorded) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("onlooker", answering("yes"))
    recorded.out.close()
    result = load(clients, EndpointTarget(name), BODY, LoadPlan(rate=20, duration=2.5), recorded.reporter)
    assert (result.sent, result.answered, result.ended) == (50, 50, "completed")
    assert result.remarks == ["the load could not be shown: ValueError: I/O operation on closed file"]
    hosting.delete(name)


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}', '{"format": 1, "target": {}}', '{"format": 1}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(StepFailed, match=r"x\.json"):
        LoadResult.read(tmp_path / "x.json")
    with pytest.raises(StepFailed, match="cannot be read"):
        LoadResult.read(tmp_path / "nothing.json")


@pytest.mark.parametrize(("save", "words"), [("nowhere/x.json", "there is no folder nowhere"), (".", "is a folder")])
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_sent(
    cloud: CloudProcess, tmp_path: Path, save: str, words: str
) -> None:
    (tmp_path / "body.txt").write_text("x")
    command = [sys.executable, "-m", "sagehound.cli.main", "load", "--endpoint", "nobody", "--picture", "body.txt"]
    command += ["--save", save, "--data-dir", str(cloud.data_dir)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    # The endpoint is not there either: that would be said if it had been asked.
    assert f"--save {save}" in done.stderr
    assert words in done.stderr
    assert "--save FILE" in done.stderr


def test_a_place_without_the_right_to_write_is_refused() -> None:
    with pytest.raises(StepFailed, match=r"--save /proc/x\.json: nothing can be written there"):
        require_place(Path("/proc/x.json"))
