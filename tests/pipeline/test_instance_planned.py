"""The plan of an EC2 training names the very calls that the training makes, and its policy is enough for them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from sagehound.pipeline.clients import Clients, connect_local
from sagehound.pipeline.instance import train_on_instance
from sagehound.pipeline.instance_cleanup import find_instances
from sagehound.pipeline.instance_machine import project_machines
from sagehound.pipeline.instance_planned import PLANNED_GROUP
from sagehound.pipeline.names import Names
from sagehound.pipeline.plan import Plan, QuietReporter
from sagehound.pipeline.plan_calls import Call
from sagehound.pipeline.plan_cost import estimate_lines
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings, TrainSettings
from tests.pipeline.test_plan import Kept, as_user, essence

pytestmark = pytest.mark.timeout(600)


def train(clients: Clients, settings: PipelineSettings, data: StoredData, reporter: Reporter) -> None:
    names = Names.of(settings, clients.account_id)
    with reporter.step("instance") as step:
        train_on_instance(clients, names, settings, data, reporter, step)


def without_token(calls: list[Call]) -> list[Call]:
    """RunInstances has a token that is new each time."""
    return [
        dataclasses.replace(call, params={name: value for name, value in call.params.items() if name != "ClientToken"})
        for call in calls
    ]


def test_what_is_planned_is_what_is_done_and_its_policy_is_enough(
    clients: Clients, cloud: Any, settings: PipelineSettings, names: Names, uploaded: Any, recorded: Any, tmp_path: Any
) -> None:
    script = tmp_path / "solution.py"
    script.write_text("open('TrainedModels/model.pth', 'w').write('trained')\n")
    settings = dataclasses.replace(settings, train=TrainSettings(entry_point=str(script)), run="once")
    data = uploaded(settings)
    planning = connect_local(cloud.data_dir, cloud.region)
    plan = Plan.begin(planning)
    train(planning, settings, data, QuietReporter(plan))
    assert project_machines(clients, names, ended=True) == []
    assert find_instances(clients, names).lines() == []
    made = [call.name for call in plan.writing]
    assert [made.count(one) for one in ("ec2:RunInstances", "ec2:DeleteSecurityGroup", "iam:DeleteRole")] == [1, 1, 1]
    (line,) = [line for line in estimate_lines(plan.writing, settings) if "t2.small" in line]
    assert "0.0230 an hour, at most 0.09 (instance.max_runtime_seconds 14,400)" in line
    policy = plan.policy(settings.project)
    assert "ec2.amazonaws.com" in json.dumps(policy)

    user = as_user(clients, cloud, f"{settings.project}-user", policy)
    kept = Kept(user)
    train(user, settings, data, recorded.reporter)
    (group,) = [call.params["GroupId"] for call in kept.calls if call.operation == "DeleteSecurityGroup"]
    planned = [line.replace(PLANNED_GROUP, group) for line in essence(without_token(plan.writing))]
    assert sorted(planned) == essence(without_token(kept.calls))
    assert [machine.state for machine in project_machines(clients, names, ended=True)] == ["terminated"]
