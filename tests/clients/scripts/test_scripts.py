"""The scripts of code/, each by a scenario that starts it through the SDK and looks at what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.scenarios import Scenarios, names

ENVIRONMENT = "clients-v2"
SCENARIOS = Path(__file__).parent / "scenarios"
OPTIONS = ("--other-hosts", "refuse")
WEIGHTS = ("resnet18", "resnet50")

pytestmark = [pytest.mark.xdist_group("clients-scripts"), pytest.mark.timeout(1200)]


@pytest.mark.parametrize("scenario", names(SCENARIOS))
def test_scenario(scenario: str, scenarios: Scenarios) -> None:
    """Each scenario fails by itself where a script does something else than on AWS."""
    scenarios.passed(scenario)
