"""The README tells the truth: its quick start runs as it stands, and its tree is the tree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import write_coverage, write_settings, write_tree

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
QUICK_START = re.compile(r"<!-- quick start: .*?-->\n```sh\n(.*?)```\n<!-- end of quick start -->", re.DOTALL)


@pytest.mark.timeout(600)
def test_the_quick_start_runs_as_it_stands(tmp_path: Path) -> None:
    commands = QUICK_START.search(README)
    assert commands is not None
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SAGEHOUND_DATA_DIR": str(tmp_path / "cloud"),
        "SAGEHOUND_CACHE_DIR": str(tmp_path / "cache"),
        # The words are the README's; only the port differs, since a developer's own cloud may hold the usual one.
        "SAGEHOUND_PORT": "0",
    }
    script = "set -eux\n" + commands.group(1)
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the local cloud is up" in done.stdout
    assert "InService" in done.stdout
    assert "8.Bag" in done.stdout
    assert "the local cloud is down" in done.stdout
    assert not list((tmp_path / "cloud").glob("server.json"))


def test_the_tree_is_the_tree() -> None:
    assert write_tree.readme(README) == README, "run python -m tools.write_tree"


def test_the_coverage_page_is_what_the_dispatch_tables_say() -> None:
    current = (ROOT / "docs" / "coverage.md").read_text()
    assert write_coverage.coverage() == current, "run python -m tools.write_coverage"


def test_every_command_stands_in_the_docs() -> None:
    page = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("pipeline", "local-cloud", "clients"))
    shown = subprocess.run(
        [sys.executable, "-m", "sagehound.cli.main", "--help"], capture_output=True, text=True, check=True
    )
    commands = re.findall(r"^  ([a-z-]+)  ", shown.stdout.partition("Commands:")[2], re.MULTILINE)
    assert len(commands) >= 12
    assert [command for command in commands if f"sagehound {command}" not in page] == []


def test_every_setting_stands_in_the_docs() -> None:
    assert write_settings.page(write_settings.PAGE.read_text()) == write_settings.PAGE.read_text(), (
        "run python -m tools.write_settings"
    )
