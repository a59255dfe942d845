"""What the scaling step refuses before it changes anything, and who may scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.belongings.scaling import find_scaling
from sagehound.pipeline.belongings.thing import Kind, Scope
from sagehound.pipeline.cleanup import find_belongings
from sagehound.pipeline.scaling import Asked, show, unscale
from sagehound.pipeline.scaling_permissions import ACTIONS
from sagehound.pipeline.scaling_requests import CONCURRENCY
from tests.cloud.hosting import Hosting, answering
from tests.cloud.lambda_functions import unique
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded
from tests.pipeline.scaling_project import Project, endpoint_and_function, scaling_project
from tests.pipeline.test_scaling_requests import measured

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("scaling")]
ALL = [f"{service}:{action}" for service, actions in ACTIONS.items() for action in actions]


@pytest.fixture(scope="module")
def made(cloud: CloudProcess) -> tuple[Hosting, str, str]:
    return endpoint_and_function(cloud)


@pytest.fixture
def project(cloud: CloudProcess, made: tuple[Hosting, str, str], recorded: Recorded) -> Iterator[Project]:
    yield from scaling_project(cloud, made, recorded)


def test_a_capacity_of_something_else_is_refused(project: Project) -> None:
    with pytest.raises(StepFailed, match=f"measured on endpoint dogs, and endpoint {project.names.endpoint} is to"):
        project.put(Asked(measured=measured()))
    with pytest.raises(StepFailed, match="is an endpoint's, and only function hound is to scale"):
        project.put(Asked(function="hound", measured=project.measured()))
    assert project.registered() == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_capacity": 4}, "is above scale.max_capacity 3"),
        ({"target": 0.0}, "nothing can be kept at or below 0"),
        ({"min_capacity": 0}, "scale.min_capacity 0"),
        ({"function_target": 5.0}, "scale.function_target 5"),
    ],
)
def test_what_means_nothing_is_not_even_asked_for(project: Project, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        project.put(**changes)
    assert project.registered() == {}


def test_endpoints_that_cannot_scale_are_named_before_aws_is_asked(project: Project) -> None:
    with pytest.raises(StepFailed, match="there is no endpoint nobody") as caught:
        project.put(Asked(endpoint="nobody"))
    assert "sagehound deploy" in caught.value.hint
    small = project.hosting.endpoint(unique("small"), answering("yip"), InstanceType="ml.t2.medium")
    with pytest.raises(StepFailed, match=r"runs on ml.t2.medium, and AWS scales no burstable instances"):
        project.put(Asked(endpoint=small))
    project.hosting.delete(small)
    deploy = dataclasses.replace(project.settings.deploy, variant_name="blue")
    project.settings = dataclasses.replace(project.settings, deploy=deploy)
    with pytest.raises(StepFailed, match="has no variant blue, only AllTraffic"):
        project.put()


def test_what_aws_refuses_is_said_in_its_own_words(project: Project) -> None:
    with pytest.raises(StepFailed, match="PutScalingPolicy was refused with ValidationException"):
        project.put(Asked(endpoint=project.names.endpoint), target=1e150)


def test_an_alias_that_cannot_be_kept_ready_leaves_the_endpoint_alone(project: Project) -> None:
    project.clients.lambda_.create_alias(FunctionName=project.names.function, Name="next", FunctionVersion="$LATEST")
    both = Asked(endpoint=project.names.endpoint, function=f"{project.names.function}:next")
    with pytest.raises(StepFailed, match=r"alias next of function .* is none of a single published version"):
        project.put(both)
    assert project.registered() == {}


def test_who_may_not_scale_is_told_what_is_needed(project: Project) -> None:
    stranger = project.as_user(["sagemaker:Describe*", "lambda:Get*"])
    with pytest.raises(StepFailed, match="AccessDeniedException") as caught:
        project.put(clients=stranger)
    for service, actions in ACTIONS.items():
        assert f"{service}: {', '.join(actions)}" in caught.value.hint
    # Nobody who may not list them is kept from deleting the rest.
    found = find_belongings(project.as_user([]), project.names)
    assert found.names(Kind.SCALING) == []
    assert any(one.startswith("scaling: DescribeScalableTargets is not allowed") for one in found.unseen)


def test_who_has_just_what_is_said_to_be_needed_can_scale_look_and_remove(project: Project) -> None:
    caller = project.as_user(ALL)
    first = project.put(clients=caller)
    assert [one["how"] for one in first["targets"]] == ["registered", "registered"]
    project.put(clients=caller, max_capacity=2, metric=CONCURRENCY)
    with project.recorded.reporter.step("scale") as step:
        assert len(show(caller, project.names, project.settings, step)) == 2
        assert len(list(find_scaling(caller, Scope(project.names), []))) == 2
        unscale(caller, project.names, project.settings, step)
    assert (project.registered(), project.alarms()) == ({}, [])
