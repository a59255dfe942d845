"""The aws CLI, version 2, as AWS bundles it: what it has beside version 1, and what it does in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.aws_cli_v2.layer import put_on_path
from tests.clients.environments import environment
from tests.clients.scenarios import Scenarios, names

ENVIRONMENT = "clients-aws-cli-v2"
SCENARIOS = Path(__file__).parent / "scenarios"

pytestmark = [pytest.mark.xdist_group("clients-cli-v2"), pytest.mark.timeout(1200)]


@pytest.fixture(scope="module", autouse=True)
def aws() -> None:
    """The program lies where the scenarios find it before they begin."""
    put_on_path(environment(ENVIRONMENT))


@pytest.mark.parametrize("scenario", names(SCENARIOS))
def test_scenario(scenario: str, scenarios: Scenarios) -> None:
    """Each script looks for itself at what it got, and fails where that is not what AWS would give."""
    scenarios.passed(scenario)
