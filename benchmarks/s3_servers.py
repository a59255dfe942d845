"""The S3 servers that are compared: ours, moto_server and SeaweedFS, each on its own over a fresh folder."""

from __future__ import annotations

import atexit
import configparser
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

KEY, SECRET = "AKIABENCHMARK0000000", "benchmark-secret"
START_LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the keys that it accepts."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str
    process: psutil.Process

    def memory(self) -> int:
        """Resident bytes of the server and its children."""
        total = 0
        for process in (self.process, *self.process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def cpu_seconds(self) -> float:
        """CPU time that the server has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def ours() -> Iterator[Server]:
    """`python -m sagehound.localcloud.server`, which verifies every signature."""
    with _folder() as folder:
        command = [sys.executable, "-m", "sagehound.localcloud.server", "--data-dir", str(folder), "--port", "0"]
        with _running(command, folder) as process:
            facts = folder / "server.json"
            _wait(facts.exists, process, folder)
            keys = configparser.ConfigParser(interpolation=None)
            keys.read(folder / "credentials")
            found = keys["default"]
            url = json.loads(facts.read_text())["endpoint_url"]
            yield Server("sagehound", url, found["aws_access_key_id"], found["aws_secret_access_key"], process)


@contextlib.contextmanager
def moto() -> Iterator[Server]:
    """moto_server: objects in memory, no signature checked."""
    port = _free_port()
    with (
        _folder() as folder,
        _running([_program("moto_server"), "-H", "127.0.0.1", "-p", str(port)], folder) as process,
    ):
        _wait(lambda: _answers(port), process, folder)
        yield Server("moto_server", f"http://127.0.0.1:{port}", KEY, SECRET, process)


@contextlib.contextmanager
def seaweedfs() -> Iterator[Server]:
    """`weed mini`: one process with every role of SeaweedFS."""
    port = _free_port()
    with _folder() as folder:
        command = [
            _program("weed"),
            "mini",
            f"-dir={folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.port={port}",
            "-webdav=false",
            "-admin.ui=false",
        ]
        with _running(command, folder) as process:
            _wait(lambda: _answers(port), process, folder)
            yield Server("seaweedfs", f"http://127.0.0.1:{port}", KEY, SECRET, process)


SERVERS: dict[str, Callable[[], contextlib.AbstractContextManager[Server]]] = {
    "sagehound": ours,
    "moto_server": moto,
    "seaweedfs": seaweedfs,
}


def available() -> list[str]:
    """The servers whose programs are installed."""
    needed = {"sagehound": sys.executable, "moto_server": _program("moto_server"), "seaweedfs": _program("weed")}
    return [name for name in SERVERS if shutil.which(needed[name])]


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A fresh folder, removed at the end of the program: ext4 makes new files slowly for minutes after many deletions,
    which would be counted against whichever server comes next and keeps objects as files."""
    folder = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    yield folder


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[psutil.Process]:
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with (folder / "bench.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ready: Callable[[], bool], process: psutil.Process, folder: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not ready():
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{(folder / 'bench.log').read_text(errors='replace')}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
