"""The aws CLI 1.46 from the registry, as people type it: every service that is here, formats, waiters, errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.environments import environment
from tests.clients.scenarios import Scenarios, names
from tests.cloud_process import CloudProcess

ENVIRONMENT = "clients-aws-cli"
SCENARIOS = Path(__file__).parent / "scenarios"
ENDPOINT_URL = """
set -euo pipefail
eval "$({sagehound} env --data-dir {data_dir})"
[[ $AWS_ENDPOINT_URL == http://127.0.0.1:* ]]
aws s3 mb s3://by-endpoint-url
echo woof | aws s3 cp - s3://by-endpoint-url/dog.txt
aws s3 cp s3://by-endpoint-url/dog.txt -
aws sts get-caller-identity --query Arn --output text
aws sagemaker list-endpoints --name-contains by-endpoint-url --query Endpoints --output json
"""

pytestmark = [pytest.mark.xdist_group("clients-cli"), pytest.mark.timeout(1200)]


@pytest.mark.parametrize("scenario", names(SCENARIOS))
def test_scenario(scenario: str, scenarios: Scenarios) -> None:
    """Each script looks for itself at what it got, and fails where that is not what AWS would give."""
    scenarios.passed(scenario)


def test_what_env_prints_is_enough_for_the_cli(cloud: CloudProcess, tmp_path: Path) -> None:
    """No proxy, no exec: AWS_ENDPOINT_URL and the root keys, as `sagehound env` prints them."""
    aws = environment(ENVIRONMENT).parent
    sagehound = Path(sys.prefix) / "bin" / "sagehound"
    script = ENDPOINT_URL.format(sagehound=sagehound, data_dir=cloud.data_dir)
    path = f"{aws}:/usr/local/bin:/usr/bin:/bin"
    given = {"PATH": path, "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], env=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "make_bucket: by-endpoint-url",
        "woof",
        f"arn:aws:iam::{cloud.account_id}:root",
        "[]",
    ]
