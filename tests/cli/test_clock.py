"""A fast clock is said wherever a command tells times, and nowhere else."""

from __future__ import annotations

import io
import json
from pathlib import Path

from sagehound.cli.local_process import stop
from sagehound.cli.walk import _Own
from sagehound.pipeline.progress import JsonReporter
from sagehound.settings import PipelineSettings
from tests.cli.conftest import Sagehound

SENTENCE = "clock x60: a minute of its alarms, metrics, limits and jobs' times is 1 s here"


def test_every_command_says_it(sagehound: Sagehound) -> None:
    assert SENTENCE in sagehound("up", "--detach", "--port", "0", "--speed", "60").stdout
    assert SENTENCE in sagehound("up", "--detach").stdout
    assert SENTENCE in sagehound("status").stdout
    assert json.loads(sagehound("status", "--json").stdout)["speed"] == 60.0
    assert sagehound("scale", "--show").stdout.count(SENTENCE) == 1
    # The walk ends where its pictures are not there; by then it has said it.
    assert sagehound("run", "--data", "nowhere", check=False).stdout.count(SENTENCE) == 1
    sagehound("down")
    assert "clock" not in sagehound("up", "--detach", "--port", "0").stdout
    assert "clock" not in sagehound("status").stdout
    assert "clock" not in sagehound("scale", "--show").stdout


def test_a_cloud_that_is_kept_after_the_demonstration_says_how_fast_it_goes_on(tmp_path: Path) -> None:
    own = _Own.started("local", tmp_path, 0, PipelineSettings(), JsonReporter(io.StringIO()))
    assert own is not None
    try:
        assert own.goes_on() == f"the local cloud goes on at {own.server.endpoint_url} (pid {own.server.pid})"
        clients = own.faster(60.0)
        assert own.goes_on().endswith(f"(pid {own.server.pid}), {clients.clock.sentence()}")
        assert clients.clock.sentence() == SENTENCE
    finally:
        stop(own.server)
