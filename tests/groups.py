"""Tests of one xdist_group run in one worker: pytest-xdist's own way to see to that does nothing under pytest 9.2."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_ROOT = Path(__file__).parents[1]


@cache
def _group_of_file(path: Path) -> str | None:
    found = re.search(r"xdist_group\(\"([^\"]+)\"\)", path.read_text()) if path.is_file() else None
    return found[1] if found else None


def group_of(nodeid: str) -> str:
    """The group that the test's file names; a test without one is a group by itself."""
    return _group_of_file(_ROOT / nodeid.partition("::")[0]) or nodeid


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Each group is one piece of work; the largest come first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> GroupScheduling | None:
    """What `--dist loadgroup` promises."""
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
