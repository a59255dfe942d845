"""--plan, --profile and --region on the command line: what would be done is printed, and nothing of it is done."""

from __future__ import annotations

import json

import pytest

from sagehound.pipeline.clients import connect_local


@pytest.mark.timeout(300)
def test_a_run_and_a_step_are_planned_and_nothing_is_made(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    printed = sagehound("run", "--plan", "--spot", "--region", "eu-west-1").stdout
    assert "sagemaker:CreateHyperParameterTuningJob" in printed
    assert ".dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312" in printed
    assert '"Action": "iam:PassRole"' in printed
    assert "not those of eu-west-1" in printed
    lines = sagehound("upload", "--plan", "--json").stdout.splitlines()
    plan = json.loads(lines[-1])
    assert plan["event"] == "plan"
    assert plan["calls"][-1]["call"] == "s3:PutObject"
    clients = connect_local(tmp_path / "cloud", "us-east-1")
    assert clients.s3.list_buckets()["Buckets"] == []
    assert clients.iam.list_roles()["Roles"] == []


def test_a_plan_needs_a_cloud_to_ask_and_a_profile_must_be_there(sagehound) -> None:
    no_cloud = sagehound("run", "--plan", check=False)
    assert no_cloud.returncode == 1
    assert "sagehound up --detach" in no_cloud.stderr
    no_profile = sagehound("train", "--target", "aws", "--profile", "none-such", check=False)
    assert no_profile.returncode == 1
    assert "none-such" in no_profile.stderr
