"""SageMaker's Python SDK 3.27, unmodified: training, tuning, building and deploying models, resource classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.environments import environment
from tests.clients.scenarios import Scenarios, names
from tests.clients.unmodified import assert_as_packed
from tests.cloud_process import CloudProcess

ENVIRONMENT = "clients-v3"
SDK = ("sagemaker-core", "sagemaker-train", "sagemaker-serve", "boto3", "botocore")
SCENARIOS = Path(__file__).parent / "scenarios"

pytestmark = [pytest.mark.xdist_group("clients-v3"), pytest.mark.timeout(1200)]


@pytest.mark.parametrize("scenario", names(SCENARIOS))
def test_scenario(scenario: str, scenarios: Scenarios) -> None:
    """Each script looks for itself at what it got, and fails where that is not what AWS would give."""
    scenarios.passed(scenario)


def test_the_sdk_is_what_the_registry_gives(cloud: CloudProcess, tmp_path: Path) -> None:
    """No file of it is changed, and nothing is put beside it."""
    assert_as_packed(cloud, environment(ENVIRONMENT), tmp_path, *SDK)
