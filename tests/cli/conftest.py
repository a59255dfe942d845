"""The command as people start it: a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

Sagehound = Callable[..., "subprocess.CompletedProcess[str]"]


def clean_environment(tmp_path: Path) -> dict[str, str]:
    """No AWS settings of the person who runs the tests, and a cache and a data directory of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "SAGEHOUND_CACHE_DIR": str(tmp_path / "cache"), "SAGEHOUND_DATA_DIR": str(tmp_path / "cloud")}


@pytest.fixture
def sagehound(tmp_path: Path) -> Iterator[Sagehound]:
    """`sagehound("up", "--detach")` in an empty folder; whatever it leaves running is ended after the test."""
    (tmp_path / "here").mkdir()

    def do(*arguments: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "sagehound.cli.main", *arguments],
            cwd=tmp_path / "here",
            env=clean_environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=500,
            **options,  # type: ignore[call-overload]
        )
        if check:
            assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    yield do
    do("down", check=False)
    for process in psutil.process_iter(["cmdline"]):
        # Jobs and model servers outlive the cloud by design; a test that failed half-way leaves them behind.
        if f"{tmp_path}/cloud/" in " ".join(process.info["cmdline"] or []):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
