"""The scaling step against a running cloud: real targets, policies and alarms of a real endpoint and function."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sagehound.cli.main import app
from sagehound.errors import StepFailed
from sagehound.pipeline.belongings.thing import Kind
from sagehound.pipeline.cleanup import delete_belongings, find_belongings
from sagehound.pipeline.deploy import Placement, deploy
from sagehound.pipeline.scaling import Asked, unscale
from sagehound.pipeline.scaling_requests import CONCURRENCY
from sagehound.pipeline.train import TrainedModel
from tests.cloud.hosting import Hosting, answering
from tests.cloud.lambda_functions import unique
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded
from tests.pipeline.scaling_project import Project, endpoint_and_function, scaling_project

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("scaling")]


@pytest.fixture(scope="module")
def made(cloud: CloudProcess) -> tuple[Hosting, str, str]:
    return endpoint_and_function(cloud)


@pytest.fixture
def project(cloud: CloudProcess, made: tuple[Hosting, str, str], recorded: Recorded) -> Iterator[Project]:
    yield from scaling_project(cloud, made, recorded)


def test_both_are_registered_once(project: Project) -> None:
    first = project.put()
    assert [one["how"] for one in first["targets"]] == ["registered", "registered"]
    assert set(project.registered()) == {project.endpoint_resource, project.function_resource}
    assert len(project.alarms()) == 4
    endpoint, function = first["targets"]
    assert (endpoint["min_capacity"], endpoint["max_capacity"], endpoint["target"]) == (1, 3, 20.0)
    assert (function["min_capacity"], function["max_capacity"], function["target"]) == (2, 4, 0.7)
    assert [alarm["Threshold"] for alarm in endpoint["alarms"]] == [20.0, 18.0]
    policy = endpoint["policies"][0]["TargetTrackingScalingPolicyConfiguration"]
    assert (policy["ScaleInCooldown"], policy["ScaleOutCooldown"]) == (30, 30)
    assert "one every 3 s and instance, and not 20 at once" in project.lines[0]
    before = project.alarms()
    assert [one["how"] for one in project.put()["targets"]] == ["was there", "was there"]
    assert project.alarms() == before


def test_what_differs_is_changed_and_nothing_else(project: Project) -> None:
    project.put()
    assert [one["how"] for one in project.put(max_capacity=2)["targets"]] == ["changed", "was there"]
    assert project.registered()[project.endpoint_resource]["MaxCapacity"] == 2
    assert [one["how"] for one in project.put(max_capacity=2, target=50.0)["targets"]] == ["changed", "was there"]
    (high,) = (alarm for alarm in project.alarms() if project.endpoint_resource in alarm and "AlarmHigh" in alarm)
    answer = project.clients.cloudwatch.describe_alarms(AlarmNames=[high])
    assert answer["MetricAlarms"][0]["Threshold"] == 50.0
    changed = project.put(max_capacity=2, metric=CONCURRENCY, target=5.0)
    assert changed["targets"][0]["metric"] == CONCURRENCY
    assert changed["targets"][0]["alarms"][0]["Threshold"] == 5.0


def test_the_ready_environments_are_brought_to_their_least(project: Project) -> None:
    project.put()
    from tests.cloud.lambda_callers import wait_for

    def ready() -> bool:
        where = {"FunctionName": project.names.function, "Qualifier": "live"}
        found = project.clients.lambda_.list_provisioned_concurrency_configs(FunctionName=where["FunctionName"])
        configs = found["ProvisionedConcurrencyConfigs"]
        return [one.get("AvailableProvisionedConcurrentExecutions") for one in configs] == [2]

    wait_for(ready, "two environments kept ready")


def test_one_of_them_alone(project: Project) -> None:
    project.put(Asked(endpoint=project.names.endpoint))
    assert set(project.registered()) == {project.endpoint_resource}
    project.put(Asked(function=f"{project.names.function}:live"))
    assert set(project.registered()) == {project.endpoint_resource, project.function_resource}


def test_a_project_without_a_function_scales_its_endpoint(project: Project) -> None:
    project.settings = dataclasses.replace(
        project.settings, function=dataclasses.replace(project.settings.function, name="nobody")
    )
    project.put()
    assert project.recorded.notes() == ["there is no function nobody with an alias live: only the endpoint scales"]
    assert set(project.registered()) == {project.endpoint_resource}
    with pytest.raises(StepFailed, match="there is no function nobody with an alias live"):
        project.put(Asked(function="nobody"))


def test_the_target_comes_from_a_measured_capacity(project: Project) -> None:
    result = project.put(Asked(measured=project.measured()))
    assert result["targets"][0]["target"] == 420.0
    assert any("10 requests a second and instance x 60 s x 0.7 = 420" in line for line in project.lines)
    assert project.recorded.notes() == []
    # A target of one's own stays, and is compared.
    kept = project.put(Asked(measured=project.measured(), take_target=False))
    assert kept["targets"][0]["target"] == 20.0
    assert "20 is 3% of what an instance holds" in project.recorded.notes()[0]
    # What the settings say goes, and is not lost in silence.
    assert project.put(Asked(measured=project.measured()), target=50.0)["targets"][0]["target"] == 420.0
    assert project.recorded.notes()[1:] == ["the measured target 420 replaces scale.target = 50"]


def test_removal_leaves_nothing_behind(project: Project) -> None:
    project.put()
    place = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": project.endpoint_resource,
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    project.clients.autoscaling.put_scheduled_action(
        **place, ScheduledActionName="night", Schedule="cron(0 22 * * ? *)", ScalableTargetAction={"MaxCapacity": 1}
    )
    assert "  schedule night  cron(0 22 * * ? *)" in (project.put(), project.lines)[1]
    for removed in ([project.endpoint_resource, project.function_resource], []):
        with project.recorded.reporter.step("scale") as step:
            assert unscale(project.clients, project.names, project.settings, step) == removed
        assert project.registered() == {}
        assert project.alarms() == []
    assert project.clients.autoscaling.describe_scheduled_actions(**place)["ScheduledActions"] == []
    assert project.clients.autoscaling.describe_scaling_policies(**place)["ScalingPolicies"] == []


def test_delete_finds_what_the_project_registered_and_nobody_else_s(project: Project) -> None:
    project.put()
    other = dataclasses.replace(project, settings=dataclasses.replace(project.settings, project=unique("q")[:20]))
    # Neither endpoint nor function carries a project's tag here, so the tag of the targets decides.
    assert find_belongings(project.clients, other.names).names(Kind.SCALING) == []
    found = find_belongings(project.clients, project.names)
    assert found.names(Kind.SCALING) == [project.endpoint_resource, project.function_resource]
    assert f"scaling of {project.endpoint_resource} (policies, alarms)" in found.lines()
    assert found.names(Kind.ENDPOINT) == []
    with project.recorded.reporter.step("delete") as step:
        delete_belongings(project.clients, found, step)
    assert project.registered() == {}
    assert project.alarms() == []


def test_a_new_model_leaves_an_endpoint_as_many_instances_as_it_has_scaled_to(project: Project) -> None:
    name, clients, hosting = unique("again"), project.clients, project.hosting
    settings = project.settings

    def deployed(answer: str, count: int) -> int:
        """How many instances the endpoint has once this model serves."""
        artifact = hosting.upload(f"{names.project}/jobs/{answer}", answering(answer))
        model = TrainedModel("job", artifact, {}, 1, 1.0, 1.0)
        asked = dataclasses.replace(settings.deploy, instance_count=count)
        with project.recorded.reporter.step("deploy") as step:
            deploy(clients, names, asked, settings.train, [Placement(name, model)], step)
        assert hosting.invoke(name) == answer
        variant = hosting.settled(name)["ProductionVariants"][0]
        assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"]
        return int(variant["CurrentInstanceCount"])

    # The role that deploy makes may read the project's own artefacts only.
    names = dataclasses.replace(project.names, bucket=hosting.bucket, role=unique("role"))
    settings = dataclasses.replace(settings, role_name=names.role)
    assert deployed("one", 1) == 1
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
    )
    hosting.settled(name)
    assert deployed("two", 1) == 3
    assert deployed("three", 2) == 2
    hosting.delete(name)


def test_the_command(project: Project, tmp_path: Path) -> None:
    where = ["--data-dir", str(project.cloud.data_dir), "--json", "--endpoint", project.names.endpoint]
    result = tmp_path / "load.json"
    project.measured().write(result)
    runner = CliRunner()

    def told(*options: str) -> dict[str, Any]:
        done = runner.invoke(app, ["scale", *where, *options])
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return next(line for line in lines if line["event"] == "error" or line.get("status") == "done")

    mine = ("--max", "2", "--target", "30", "--target", "local", "--scale-in-cooldown", "60", "--metric", "invocations")
    (target,) = told(*mine)["result"]["targets"]
    assert (target["max_capacity"], target["target"]) == (2, 30.0)
    configuration = target["policies"][0]["TargetTrackingScalingPolicyConfiguration"]
    assert (configuration["ScaleInCooldown"], configuration["ScaleOutCooldown"]) == (60, 30)
    assert told("--from-load", str(result))["result"]["targets"][0]["target"] == 420.0
    assert told("--from-load", str(result), "--target", "100")["result"]["targets"][0]["target"] == 100.0
    # Looking changes nothing, whatever the settings would be.
    (seen,) = told("--show")["result"]["targets"]
    assert (seen["resource_id"], seen["max_capacity"]) == (project.endpoint_resource, 3)
    assert seen["policies"][0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 100.0
    assert "is above scale.max_capacity 3" in told("--min", "9")["cause"]
    assert "scale.min_capacity" in told("--min", "0")["cause"]
    assert "scale.target" in told("--target", "many")["cause"]
    assert told("--remove")["result"]["removed"] == [project.endpoint_resource]
    assert told("--show")["result"]["targets"] == []
    assert project.registered() == {}
