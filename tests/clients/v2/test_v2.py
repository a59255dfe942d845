"""SageMaker's Python SDK 2.257, unmodified, through all that people do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.environments import environment
from tests.clients.scenarios import Scenarios, names
from tests.clients.unmodified import assert_as_packed
from tests.cloud_process import CloudProcess

ENVIRONMENT = "clients-v2"
SDK = ("sagemaker", "boto3", "botocore", "s3transfer", "requests", "urllib3")
SCENARIOS = Path(__file__).parent / "scenarios"
OPTIONS = ("--other-hosts", "refuse")
"""Nothing but AWS's own hosts is needed, and those are the cloud."""

pytestmark = [pytest.mark.xdist_group("clients-v2"), pytest.mark.timeout(1200)]


@pytest.mark.parametrize("scenario", names(SCENARIOS))
def test_scenario(scenario: str, scenarios: Scenarios) -> None:
    """Each script looks for itself at what it got, and fails where that is not what AWS would give."""
    scenarios.passed(scenario)


def test_the_sdk_is_what_the_registry_gives(cloud: CloudProcess, tmp_path: Path) -> None:
    """No file of it is changed, and nothing is put beside it."""
    assert_as_packed(cloud, environment(ENVIRONMENT), tmp_path, *SDK)
