"""Fixtures that every test may use: a shared local cloud, a private one, and the real pictures where they exist."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_process import CloudProcess
from tests.groups import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler

REAL_PICTURES = Path(__file__).parents[2] / "shared" / "data" / "dogImages"


def _end_programs(data_dir: Path) -> None:
    """End what a test's cloud has left running: programs outlive their server by design."""
    import psutil

    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = " ".join(process.info["cmdline"] or [])
        if str(data_dir) in command or str(process.info["cwd"] or "").startswith(str(data_dir)):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue


def private_cloud(*options: str, before: tuple[str, ...] = ()) -> Iterator[CloudProcess]:
    """A server with a data directory of its own, ended with all that it started: for fixtures, `yield from` it."""
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-test-"))
    cloud = CloudProcess(data_dir, *options, before=before)
    try:
        yield cloud.start()
    finally:
        if cloud.process is not None and cloud.process.poll() is None:
            cloud.stop()
        _end_programs(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def cloud() -> Iterator[CloudProcess]:
    """One server for all tests of a worker: use names of your own, and do not kill it."""
    yield from private_cloud()


@pytest.fixture
def own_cloud() -> Iterator[CloudProcess]:
    """A server for one test, which may kill and restart it."""
    yield from private_cloud()


@pytest.fixture
def fast_cloud() -> Iterator[CloudProcess]:
    """A server for one test, whose clock runs sixty times as fast."""
    yield from private_cloud("--speed", "60")


@pytest.fixture(scope="session")
def dogs() -> Path:
    """The folder of real pictures (train/valid/test by breed)."""
    folder = Path(os.environ.get("SAGEHOUND_TEST_PICTURES", REAL_PICTURES))
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}; name a folder in SAGEHOUND_TEST_PICTURES")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where CI has promised everything that a test may need (SAGEHOUND_NO_SKIP), a skip is a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("SAGEHOUND_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may skip: {report.longrepr}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the run ended, which `python -m tools.failed_tests` looks at: 1 is a run that came to its end."""
    if session.config.cache is not None and not hasattr(session.config, "workerinput"):
        session.config.cache.set("sagehound/exitstatus", int(exitstatus))
