"""A walk with an instance, a notebook and an endpoint, deleted and stopped: nothing of it is left on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Sagehound, clean_environment
from tests.pipeline.conftest import colours
from tests.waiting import wait_for

NOTHING = "nothing exists and nothing costs of project project5"
KEPT = {"cache"}
"""What may be left outside of the data directory: the cache, as the documentation says."""
OF_THE_CLOUD = (
    *("credentials", "server.log", "cloud.sqlite", "calls.jsonl", "objects.reserve", "lock", "ssm.key"),
    *("sagemaker/models/", "lambda-environments/interpreter/", "authority/", "environments/commands-"),
)
"""What the cloud's own files begin with: its state and its caches, and nothing of a job, an instance or an object."""


def files(folder: Path) -> set[str]:
    """Every file and folder below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def mounts(folder: Path) -> list[str]:
    """The mounts at or below a folder, as this process sees them."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]


def processes(folder: Path) -> dict[int, str]:
    """Process id -> words, of those that have a folder in their words, work in it, or were told of it."""
    found = {}
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            told = [words, process.cwd(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        alive = process.status() != psutil.STATUS_ZOMBIE
        if process.pid != os.getpid() and alive and any(str(folder) in text for text in told):
            found[process.pid] = words
    return found


@pytest.fixture
def walked(tmp_path: Path) -> Iterator[Sagehound]:
    """The command with a home and a folder for temporary files of its own; all that it starts is ended."""
    for name in ("here", "home", "temporary"):
        (tmp_path / name).mkdir()
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}

    def do(*arguments: str, check: bool = True, **_: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "sagehound.cli.main", *arguments],
            cwd=tmp_path / "here",
            env=clean_environment(tmp_path) | places,
            capture_output=True,
            text=True,
            timeout=500,
        )
        if check:
            assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    yield do
    do("down", check=False)
    for pid in processes(tmp_path / "cloud"):
        psutil.Process(pid).kill()


@pytest.mark.timeout(900)
def test_after_delete_and_down_nothing_is_left(walked: Sagehound, tmp_path: Path) -> None:
    cloud = tmp_path / "cloud"
    pictures = colours(tmp_path / "pictures", {"train": 4, "valid": 2, "test": 1})
    before = files(tmp_path)
    assert (processes(tmp_path), mounts(tmp_path)) == ({}, [])
    walked("up", "--detach", "--port", "0")
    alone = set(processes(tmp_path).values())
    walked("upload", "--data", str(pictures))
    walked("train", "--set", "train.epochs=1")
    walked("deploy", "--anyway")
    walked("invoke", str(pictures / "test"))
    (tmp_path / "here" / "mine.py").write_text("open('TrainedModels/model.pth', 'w').write('trained')\n")
    walked("instance", "train", "--entry-point", "mine.py")
    walked("notebook", "--no-browser")
    there = json.loads(walked("status", "--json").stdout)
    assert {"endpoint", "notebook instance", "bucket", "role"} <= {one["kind"] for one in there["exists"]}
    assert float(there["usd_an_hour"]) > 0
    assert len(processes(tmp_path)) > len(alone)

    walked("delete", "--yes")
    lines = walked("status").stdout.splitlines()
    assert NOTHING in lines
    assert json.loads(walked("status", "--json").stdout)["nothing"] is True
    # The server and what it was started with are all that runs; what ends with a thing may take a moment more.
    wait_for(lambda: set(processes(tmp_path).values()) <= alone, "the end of every job, model server and notebook")
    assert mounts(tmp_path) == []
    walked("down")
    wait_for(lambda: processes(tmp_path) == {}, "the end of every process")
    assert mounts(tmp_path) == []
    (tmp_path / "here" / "mine.py").unlink()
    new = {path for path in files(tmp_path) - before if path.split("/")[0] not in KEPT | {cloud.name}}
    assert new == set()
    left = {path for path in files(cloud) if (cloud / path).is_file()}
    assert {path for path in left if not path.startswith(OF_THE_CLOUD)} == set()
