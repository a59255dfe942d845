"""One cloud and one set of running scenarios for each module of scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clients.dogs import give
from tests.clients.environments import environment
from tests.clients.scenarios import Scenarios
from tests.conftest import private_cloud


@pytest.fixture(scope="module")
def scenarios(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenarios]:
    """All scenarios of the module that shall run, begun at once.

    The module names its ENVIRONMENT and its SCENARIOS; if it wants any, the OPTIONS of its cloud, and the WEIGHTS that
    people find there beside the public pictures.
    """
    python = environment(request.module.ENVIRONMENT)
    wanted = [_scenario(item) for item in request.session.items if _runs(item, request.module)]
    with contextmanager(private_cloud)(*getattr(request.module, "OPTIONS", ())) as cloud:
        if weights := getattr(request.module, "WEIGHTS", ()):
            give(cloud, tmp_path_factory.mktemp("public"), *weights)
        running = Scenarios(cloud, python, request.module.SCENARIOS, tmp_path_factory.mktemp("home"))
        try:
            running.start(wanted)
            yield running
        finally:
            running.close()


def _runs(item: pytest.Item, module: object) -> bool:
    return isinstance(item, pytest.Function) and item.module is module and "scenarios" in item.fixturenames


def _scenario(item: pytest.Item) -> str:
    assert isinstance(item, pytest.Function)
    return str(item.callspec.params["scenario"])
