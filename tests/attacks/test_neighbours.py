"""A function that looks around: for the credentials and events of others, for the cloud's own data and root's keys."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.cloud.lambda_functions import Bench
from tests.cloud_process import CloudProcess

pytestmark = pytest.mark.local_only

VICTIM = """
import os
calls = 0

def handler(event, context):
    global calls
    calls += 1
    with open("/tmp/diary", "w") as file:
        file.write(os.environ["DIARY"])
    return {
        "calls": calls,
        "secret": os.environ["AWS_SECRET_ACCESS_KEY"],
        "token": os.environ["AWS_SESSION_TOKEN"],
        "api": os.environ["AWS_LAMBDA_RUNTIME_API"],
    }
"""
"""Says its secrets to who invoked it, so that the test knows what nobody else may find."""

THIEF = """
import http.client, os, signal

PLACES = ("/proc", "/tmp", "/var", "/home", "/root", "/etc", "/opt", "/dev/shm", "/run", "/srv", "/mnt")

def read(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(fd, 1 << 20)
    except OSError:
        return b""
    finally:
        os.close(fd)

def files(places):
    for place in places:
        for folder, names, found in os.walk(place):
            names[:] = [name for name in names if os.path.join(folder, name) != "/proc/kcore"]
            yield from (os.path.join(folder, name) for name in found if name not in ("kcore", "kmsg"))

def search(texts, places):
    hits = {text: [] for text in texts}
    for path in files(places):
        content = read(path)
        for text in texts:
            if text.encode() in content:
                hits[text].append(path)
    return hits

def speak(port, method, path, host):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request(method, path, headers={"Host": host})
        return connection.getresponse().status
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()

def tried(work):
    try:
        return work()
    except OSError as error:
        return type(error).__name__

def write(path):
    with open(path, "w") as file:
        file.write("stolen")
    return "written"

def handler(event, context):
    own = os.environ["AWS_SECRET_ACCESS_KEY"]
    # Its own task folder holds nothing of others; what it was told is not there either.
    hits = search([own, *event["texts"]], [*PLACES, *event["folders"]])
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    next_event = "/2018-06-01/runtime/invocation/next"
    return {
        "own": hits.pop(own),
        "hits": {text: paths for text, paths in hits.items() if paths},
        "seen": [path for path in event["folders"] if isinstance(tried(lambda: os.listdir(path) or "empty"), list)],
        "pids": pids,
        "killed": [pid for pid in event["pids"] if tried(lambda: os.kill(pid, signal.SIGKILL)) is None],
        "next": [speak(event["port"], "GET", next_event, host) for host in ("127.0.0.1", "localhost", "x.runtime")],
        "code": tried(lambda: write(os.environ["LAMBDA_TASK_ROOT"] + "/app.py")),
        "system": tried(lambda: write("/usr/lib/sitecustomize.py")),
        "uid": os.getuid(),
    }
"""


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


def invoke(bench: Bench, name: str, event: Any = None) -> Any:
    """The answer of a function that does not fail."""
    answer = bench.client.invoke(FunctionName=name, Payload=json.dumps(event))
    payload = answer["Payload"].read()
    assert "FunctionError" not in answer, payload
    return json.loads(payload)


def programs_of(cloud: CloudProcess) -> list[int]:
    """The processes of this machine that belong to the cloud: its server, and what it has started."""
    import psutil

    assert cloud.process is not None
    server = psutil.Process(cloud.process.pid)
    return [server.pid, *(child.pid for child in server.children(recursive=True))]


@pytest.fixture(scope="module")
def diary() -> str:
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def victim(bench: Bench, diary: str) -> str:
    return bench.create(VICTIM, Environment={"Variables": {"DIARY": diary}}, Timeout=30)


@pytest.fixture(scope="module")
def told(bench: Bench, victim: str) -> dict[str, Any]:
    """The victim's secrets; its environment stays warm."""
    found: dict[str, Any] = invoke(bench, victim)
    return found


@pytest.fixture(scope="module")
def loot(bench: Bench, cloud: CloudProcess, told: dict[str, Any], diary: str) -> dict[str, Any]:
    """What a function of another role has found."""
    thief = bench.create(THIEF, Timeout=120, MemorySize=512)
    data = cloud.data_dir
    event = {
        "texts": [told["secret"], told["token"], diary, cloud.secret_key],
        "folders": [str(data), str(data.parent), *map(str, sorted(data.iterdir()) if data.is_dir() else [])],
        "pids": programs_of(cloud),
        "port": int(told["api"].rpartition(":")[2]),
    }
    found: dict[str, Any] = invoke(bench, thief, event)
    return found


def test_it_finds_its_own_secret_where_it_may(loot: dict[str, Any]) -> None:
    """So the search is one that would find the others'."""
    assert any(path.endswith("/environ") for path in loot["own"])


def test_it_finds_nobody_else_s_credentials(loot: dict[str, Any]) -> None:
    assert loot["hits"] == {}


def test_it_does_not_see_the_cloud_s_data(loot: dict[str, Any], cloud: CloudProcess) -> None:
    assert [path for path in loot["seen"] if path.startswith(str(cloud.data_dir))] == []


def test_it_sees_and_ends_no_process_but_its_own(loot: dict[str, Any]) -> None:
    assert len(loot["pids"]) < 10
    assert loot["killed"] == []


def test_it_cannot_take_another_one_s_events(loot: dict[str, Any]) -> None:
    assert all(answer in (403, "ConnectionRefusedError", "TimeoutError") for answer in loot["next"])


def test_it_cannot_change_code(loot: dict[str, Any]) -> None:
    assert "written" not in (loot["code"], loot["system"])


def test_it_leaves_the_other_one_as_it_was(
    bench: Bench, victim: str, told: dict[str, Any], loot: dict[str, Any]
) -> None:
    again = invoke(bench, victim)
    assert (again["calls"], again["secret"], again["api"]) == (told["calls"] + 1, told["secret"], told["api"])
