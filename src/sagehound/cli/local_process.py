"""The local cloud as a process of this machine: started apart from the terminal, found again, stopped."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from sagehound.errors import StepFailed
from sagehound.settings import LocalCloudSettings

_START_SECONDS = 60.0
_STOP_SECONDS = 150.0  # a job that ignores SIGTERM is given 120 seconds
_LOG_TAIL_BYTES = 4000


@dataclass(frozen=True)
class Server:
    """A server that runs: what it says of itself in server.json."""

    pid: int
    create_time: float
    endpoint_url: str
    port: int
    started: float
    speed: float = 1.0
    """How fast its clock runs."""

    @property
    def clock(self) -> str:
        """That, in a sentence; empty where it is the real one."""
        from sagehound.pipeline.clients import CloudClock

        return CloudClock(self.speed).sentence()


def running(data_dir: Path) -> Server | None:
    """The server of a data directory, or None; a server.json that a killed server left behind does not count."""
    import psutil

    try:
        facts = {"speed": 1.0} | json.loads((data_dir / "server.json").read_text())
        server = Server(**{item.name: facts[item.name] for item in dataclasses.fields(Server)})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError) as error:
        raise StepFailed(
            "status",
            f"{data_dir / 'server.json'} is damaged: {error}",
            "Stop the server if it runs, and remove the file.",
        ) from error
    try:
        process = psutil.Process(server.pid)
        # Process numbers are used again: only the same start time means the same process.
        same = abs(process.create_time() - server.create_time) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return server if same else None


def start(settings: LocalCloudSettings) -> Server:
    """Start a server in a session of its own and wait until it answers; raises StepFailed with its last words."""
    data_dir = settings.data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = data_dir / "server.log"
    with log.open("ab") as output:
        before = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "sagehound.localcloud.server", *_options(settings)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=data_dir,
            start_new_session=True,
        )
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        server = running(data_dir)
        if server is not None and server.pid == process.pid:
            return server
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        with log.open("rb") as output:
            output.seek(before)
            words = output.read()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        last = words.rsplit("sagehound: ", 1)[-1] if "sagehound: " in words else words
        raise StepFailed(
            "up", f"the local cloud ended with exit code {process.returncode}: {last}", f"All of it: {log}"
        )
    process.terminate()
    raise StepFailed("up", f"the local cloud did not answer within {_START_SECONDS:.0f} s", f"Its output: {log}")


def stop(server: Server) -> None:
    """SIGTERM, and wait for the end; raises StepFailed where it does not come."""
    import psutil

    try:
        process = psutil.Process(server.pid)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired as error:
        raise StepFailed(
            "down",
            f"the local cloud (pid {server.pid}) did not end within {_STOP_SECONDS:.0f} s",
            f"End it with `kill -9 {server.pid}`: what it acknowledged survives that.",
        ) from error


def _options(settings: LocalCloudSettings) -> list[str]:
    """The server's command line: every setting that is not its default."""
    usual = LocalCloudSettings()
    options: list[str] = []
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if value == getattr(usual, item.name):
            continue
        options.append("--" + item.name.replace("_", "-"))
        if not isinstance(value, bool):
            options.append(json.dumps(value) if isinstance(value, dict) else str(value))
    return options
