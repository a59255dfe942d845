"""up, status, env, logs, down: the local cloud as a process that is found again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

SAMPLE = str(Path(__file__).parents[2] / "src" / "sagehound" / "sample" / "pictures")


def facts(tmp_path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((tmp_path / "cloud" / "server.json").read_text())
    return found


def model_servers(tmp_path: Path) -> list[str]:
    commands = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return [command for command in commands if "host_init.py" in command and str(tmp_path) in command]


def test_up_status_env_down(sagehound, tmp_path) -> None:
    done = sagehound("up", "--detach", "--port", "0")
    server = facts(tmp_path)
    assert f"the local cloud is up: {server['endpoint_url']} (pid {server['pid']}" in done.stdout
    assert "is up already" in sagehound("up", "--detach", "--port", "0").stdout
    status = json.loads(sagehound("status", "--json").stdout)
    assert (status["running"], status["pid"], status["port"]) == (True, server["pid"], server["port"])
    assert status["training_jobs"] == status["tuning_jobs"] == status["endpoints"] == {}
    assert f"address        {server['endpoint_url']}" in sagehound("status").stdout
    done = sagehound("down")
    assert f"(pid {server['pid']})" in done.stdout
    assert not psutil.pid_exists(int(str(server["pid"])))
    done = sagehound("status", check=False)
    assert done.returncode == 3
    assert "no local cloud is running" in sagehound("down").stdout


def test_up_says_how_to_find_a_cloud_elsewhere(sagehound, tmp_path) -> None:
    place = tmp_path / "cloud" / "of mine"
    place.parent.mkdir()
    try:
        done = sagehound("up", "--detach", "--port", "0", "--data-dir", str(place))
        assert f"""eval "$(sagehound env --data-dir '{place}')\"""" in done.stdout
        named = next(
            line for line in done.stdout.splitlines() if line.startswith("programs and notebooks as they are:")
        )
        command = named.partition(":")[2].replace("COMMAND", "printenv HTTPS_PROXY")
        # As it is said, in a shell that knows the program by its name.
        given = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", command], env=given, capture_output=True, text=True, check=True)
        assert done.stdout == f"{json.loads((place / 'server.json').read_text())['endpoint_url']}\n"
    finally:
        sagehound("down", "--data-dir", str(place))


def test_env_lets_any_client_in(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    exports = sagehound("env").stdout
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    done = subprocess.run(
        ["bash", "-c", f'{exports}\n{sys.executable} -c "{code}"'],
        env={"PATH": os.environ["PATH"], "AWS_SESSION_TOKEN": "left over", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "123456789012"


def test_a_server_that_cannot_start_says_why(sagehound) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = sagehound("up", "--detach", "--port", str(taken.getsockname()[1]), check=False)
    assert done.returncode == 1
    assert "is taken. Choose another with --port" in done.stderr
    done = sagehound("up", "--host", "0.0.0.0", "--port", "0", check=False)
    assert done.returncode == 1
    assert "--allow-remote" in done.stderr


def test_a_killed_server_is_not_taken_for_a_running_one(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    pid = int(str(facts(tmp_path)["pid"]))
    process = psutil.Process(pid)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    assert (tmp_path / "cloud" / "server.json").exists()
    assert sagehound("status", check=False).returncode == 3
    sagehound("up", "--detach", "--port", "0")
    assert facts(tmp_path)["pid"] != pid


def test_another_process_with_the_same_number_is_left_alone(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    server = facts(tmp_path)
    sagehound("down")
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / "cloud" / "server.json").write_text(json.dumps({**server, "pid": stranger.pid, "create_time": 1.0}))
        assert "no local cloud is running" in sagehound("down").stdout
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


def test_logs_of_an_unknown_name(sagehound) -> None:
    sagehound("up", "--detach", "--port", "0")
    done = sagehound("logs", "nothing", check=False)
    assert done.returncode == 1
    assert "there is no training job, no tuning job, no endpoint and no function nothing" in done.stderr


@pytest.mark.timeout(900)
def test_the_whole_walk_starts_and_stops_its_own_cloud(sagehound, tmp_path) -> None:
    done = sagehound("run", "--port", "0", "--json", "--report", "walk.html", "--set", "train.epochs=4")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    steps = {event["step"]: event["result"] for event in events if event.get("status") == "done"}
    assert list(steps) == [
        *("up", "check", "upload", "features", "tune", "train", "train x5", "instance"),
        *("deploy", "invoke", "function", "secure", "denial"),
        *("clock", "scale", "load", "report", "cost", "delete", "run"),
    ]
    assert steps["tune"]["trials"] == 2
    assert steps["tune"]["at_chance"] is False
    for step in ("train", "train x5"):
        assert steps[step]["metrics"]["test:accuracy"] > 0.5
    assert steps["train x5"]["instance_count"] == 5
    assert [endpoint["endpoint_name"] for endpoint in steps["deploy"]["endpoints"]] == [
        "project5-endpoint",
        "project5-endpoint-multi",
    ]
    assert len(steps["invoke"]["answers"]) == len(steps["invoke"]["also"]["answers"]) == 5
    scores, named = steps["function"]["answers"]
    assert len(json.loads(scores["answer"]["body"])[0]) == 10
    assert len(json.loads(named["answer"]["body"])["predictions"]) == 3
    assert (steps["function"]["version"], steps["function"]["provisioned_concurrency"]) == ("1", 2)
    assert (steps["denial"]["denied"]["status"], steps["denial"]["denied"]["error"]) == (502, "AccessDenied")
    assert steps["denial"]["again"]["status"] == 200
    assert not [one for one in steps["secure"]["findings"] if one["where"] == "role project5-function"]
    # The clock is fast from there on only; the endpoint follows the load up and back, and no request is lost.
    assert steps["clock"]["speed"] == steps["scale"]["speed"] == 30
    assert [one["how"] for one in steps["scale"]["targets"]] == ["registered", "registered"]
    endpoint, function = steps["load"]["loads"]
    counts = [one["current"] for one in endpoint["instances"]]
    assert (counts[0], max(counts), counts[-1]) == (1, 3, 1)
    assert endpoint["errors"] == function["errors"] == {}
    assert function["cold_starts"] == 0
    assert "scaling of endpoint/project5-endpoint/variant/AllTraffic (policies, alarms)" in steps["delete"]["deleted"]
    page = (tmp_path / "here" / "walk.html").read_text()
    assert "Load and scaling" in page
    assert steps["train"]["job_name"] in page
    assert steps["train x5"]["job_name"] in page
    assert sagehound("status", check=False).returncode == 3
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]


@pytest.mark.timeout(900)
def test_the_steps_one_by_one_as_a_person_types_them(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    done = sagehound("upload", "--data", SAMPLE)
    assert done.stdout.splitlines()[0].startswith("check ")
    assert " sent, 0 unchanged" in done.stdout
    assert "no completed tuning" in sagehound("train", "--from-tuning", check=False).stderr
    done = sagehound("tune", "--set", "train.epochs=4")
    assert done.stdout.splitlines()[0].startswith("features ")
    trials = [line for line in done.stdout.splitlines() if " trial  " in line]
    assert len(trials) == 2
    tuning = done.stdout.splitlines()[-1].split(" s  ")[1].split()[0]
    assert "validation:accuracy=" in sagehound("logs", tuning).stdout
    done = sagehound("train", "--from-tuning", "--set", "train.epochs=4", "-v")
    assert " (earlier)" in next(line for line in done.stdout.splitlines() if line.startswith("features "))
    job = done.stdout.splitlines()[-1].split(" s  ")[1].split()[0]
    assert "validation:accuracy=" in done.stdout  # the job's own lines
    assert "validation:accuracy=" in sagehound("logs", job, "--follow").stdout
    assert "project5-endpoint  InService" in sagehound("deploy").stdout
    other = sagehound("deploy", "--job", job, "--endpoint", "another", "--json")
    assert json.loads(other.stdout.splitlines()[-1])["result"]["endpoints"][0]["endpoint_name"] == "another"
    done = sagehound("invoke", f"{SAMPLE}/test")
    assert " right, median " in done.stdout
    assert "another  8 pictures" in sagehound("invoke", f"{SAMPLE}/test/8.Bag", "--endpoint", "another").stdout
    function_as_a_person_types_it(sagehound, tmp_path)
    status = sagehound("status").stdout
    assert "2 InService" in status
    assert "functions      1 Active" in status
    assert "tuning jobs    1 Completed" in status
    done = sagehound("report", "mine.html")
    assert job in (tmp_path / "here" / "mine.html").read_text()
    assert "project5-function" in (tmp_path / "here" / "mine.html").read_text()
    assert "function project5-function  live: version" in done.stdout
    done = sagehound("delete", check=False, input="n\n")
    assert done.returncode == 1
    assert "endpoint project5-endpoint" in done.stdout
    assert "endpoint another" in done.stdout
    assert "function project5-function (versions, aliases, log)" in done.stdout
    assert "things deleted" in sagehound("delete", "--yes").stdout
    assert "nothing to delete" in sagehound("delete", "--yes").stdout


def function_as_a_person_types_it(sagehound: Callable[..., Any], tmp_path: Path) -> None:
    """Made, found again, asked with a picture and with an event, replaced by one's own, and its lines read."""
    made = sagehound("function").stdout
    assert "(created), before project5-endpoint; 200, 10 scores for 10 classes, " in made
    assert made.splitlines()[1].endswith(("(right)", ")"))
    picture = str(next(Path(SAMPLE, "test", "8.Bag").iterdir()))
    asked = sagehound("function", "--names", "--picture", picture, "--json")
    result = json.loads(asked.stdout.splitlines()[-1])["result"]
    assert result["how"] == "was there"
    (answer,) = result["answers"]
    assert json.loads(answer["answer"]["body"])["predictions"][0]["label"] == "8.Bag"
    done = sagehound("function", "--event", '{"picture": 1}', check=False)
    assert done.returncode == 1
    assert 'answered 400 BadRequest: the event has neither "url" nor "image"' in done.stderr
    assert "exclude each other" in sagehound("function", "--event", "{}", "--no-invoke", check=False).stderr
    assert "is not JSON" in sagehound("function", "--event", "{", check=False).stderr
    assert "endpoint nowhere does not exist" in sagehound("function", "--endpoint", "nowhere", check=False).stderr
    (tmp_path / "here" / "mine.py").write_text("def greet(event, context):\n    return {'hello': event['name']}\n")
    own = sagehound("function", "--entry-point", "mine.py", "--event", '{"name": "Rex"}').stdout
    assert "version 2 as live" in own
    assert '{"name": "Rex"}: {"hello": "Rex"}' in own
    assert "REPORT RequestId: " in sagehound("logs", "project5-function").stdout


def test_data_that_is_refused_leaves_no_cloud_running(sagehound, tmp_path) -> None:
    (tmp_path / "here" / "cats").mkdir()
    (tmp_path / "here" / "cats" / "one.jpg").write_bytes(b"no picture")
    done = sagehound("run", "--port", "0", "--data", ".", check=False)
    assert done.returncode == 1
    assert "cats/one.jpg is no JPEG, PNG or WebP picture" in done.stderr
    assert "--skip-unreadable" in done.stderr
    assert sagehound("status", check=False).returncode == 3


@pytest.mark.timeout(600)
def test_keep_leaves_the_endpoint_and_a_failure_leaves_the_cloud(sagehound, tmp_path) -> None:
    done = sagehound("run", "--port", "0", "--set", "train.backbone=no_such_backbone", check=False)
    assert done.returncode == 1
    assert "no_such_backbone" in done.stderr
    assert "the local cloud goes on" in done.stdout
    pid = facts(tmp_path)["pid"]
    quick = ("--set", "train.epochs=2", "--set", "invoke_pictures=1", "--set", "multi_instance_count=0")
    done = sagehound("run", "--keep", *quick)
    assert facts(tmp_path)["pid"] == pid
    assert "things deleted" not in done.stdout
    assert "1 endpoint answers again after the next `sagehound up`" in sagehound("down").stdout
    assert not model_servers(tmp_path)
    sagehound("up", "--detach", "--port", "0")
    answer = json.loads(sagehound("invoke", f"{SAMPLE}/test/8.Bag", "--json").stdout.splitlines()[-1])["result"]
    assert answer["judged"] == len(answer["answers"]) == 8
    sagehound("delete", "--yes")
