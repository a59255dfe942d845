"""What scaling asks for, what it refuses before AWS is asked, and what a target means in the metric's own unit."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import CloudClock
from sagehound.pipeline.load.plan import LoadPlan
from sagehound.pipeline.load.result import Capacity, LoadResult
from sagehound.pipeline.scaling_cleanup import ScalingPlace
from sagehound.pipeline.scaling_meaning import check_measured, meaning, recommend, warning
from sagehound.pipeline.scaling_requests import (
    CONCURRENCY,
    CPU,
    INVOCATIONS,
    UTILIZATION,
    Tracked,
    check_variant,
    endpoint_tracked,
    function_tracked,
)
from sagehound.settings import ScaleSettings

USUAL = ScaleSettings()


def endpoint(**changes: Any) -> Tracked:
    return endpoint_tracked("dogs", "AllTraffic", dataclasses.replace(USUAL, **changes))


def measured(kind: str = "endpoint", capacity: float | None = 10.0, mean: float = 200.0) -> LoadResult:
    found = None
    if capacity is not None:
        found = Capacity(3 * capacity, capacity, 3, "ml.m5.large", 400.0, 500.0, 0.05)
    return LoadResult(
        target={"kind": kind, "name": "dogs"},
        plan=LoadPlan(rate=30, duration=10).as_dict(),
        started="2026-11-23T00:00:00.000+00:00",
        speed=1.0,
        ended="completed",
        elapsed=10.0,
        sent=300,
        answered=300,
        seconds=[],
        percentiles=dict.fromkeys(("mean", "p50", "p90", "p99", "max"), mean),
        corrected=None,
        errors={},
        error_words={},
        instances=[],
        concurrency=[],
        cold_starts=None,
        activities=[],
        generator={"kept_up": True, "reasons": [], "held_back": 0, "not_sent": 0, "unanswered": 0},
        remarks=[],
        capacity=found,
    )


@pytest.mark.parametrize("metric", [INVOCATIONS, CONCURRENCY, CPU])
def test_the_policy_is_what_aws_takes(metric: str) -> None:
    model = botocore.session.get_session().get_service_model("application-autoscaling")
    for tracked in (endpoint(metric=metric), function_tracked("hound", "live", USUAL)):
        request = {
            **tracked.place,
            "PolicyName": "p",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": tracked.configuration(),
        }
        shape = model.operation_model("PutScalingPolicy").input_shape
        assert not ParamValidator().validate(request, shape).has_errors()
        enum = model.shape_for("MetricType").enum
        assert tracked.metric in enum or tracked.customized
        assert tracked.dimension in model.shape_for("ScalableDimension").enum
    assert endpoint(metric=metric).resource_id == "endpoint/dogs/variant/AllTraffic"
    assert function_tracked("hound", "live", USUAL).resource_id == "function:hound:live"


def test_the_usual_policy_is_that_of_the_settings() -> None:
    assert endpoint().configuration() == {
        "TargetValue": 20.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS},
        "ScaleInCooldown": 30,
        "ScaleOutCooldown": 30,
        "DisableScaleIn": False,
    }
    assert (endpoint().minimum, endpoint().maximum) == (1, 3)
    function = function_tracked("hound", "live", USUAL)
    assert (function.minimum, function.maximum, function.target, function.metric) == (2, 4, 0.7, UTILIZATION)
    assert "CustomizedMetricSpecification" not in function.configuration()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_capacity": 4}, "scale.min_capacity 4 is above scale.max_capacity 3"),
        ({"target": 0.0}, "scale.target 0: nothing can be kept at or below 0"),
        ({"target": -1.0}, "scale.target -1"),
        ({"min_capacity": 0}, "scale.min_capacity 0: a variant of an endpoint keeps at least one instance"),
    ],
)
def test_bounds_and_targets_that_mean_nothing_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        endpoint(**changes)


def test_the_function_s_bounds_are_looked_at_too() -> None:
    with pytest.raises(StepFailed, match=r"scale.function_min 5 is above scale.function_max 4"):
        function_tracked("hound", "live", dataclasses.replace(USUAL, function_min=5))
    with pytest.raises(StepFailed, match=r"scale.function_target 0"):
        function_tracked("hound", "live", dataclasses.replace(USUAL, function_target=0.0))
    with pytest.raises(StepFailed, match=r"scale.function_target 0.95: AWS keeps to a share of 0.1 to 0.9"):
        function_tracked("hound", "live", dataclasses.replace(USUAL, function_target=0.95))


@pytest.mark.parametrize(
    ("status", "variant", "words"),
    [
        ("Deleting", {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large"}, "endpoint dogs is Deleting"),
        ("InService", {"VariantName": "blue", "InstanceType": "ml.m5.large"}, "has no variant AllTraffic, only blue"),
        ("InService", {"VariantName": "AllTraffic", "InstanceType": "ml.t2.medium"}, "ml.t2.medium, and AWS scales no"),
        ("InService", {"VariantName": "AllTraffic", "ServerlessConfig": {}}, "no instances of its own"),
    ],
)
def test_endpoints_that_cannot_scale_are_refused(status: str, variant: dict[str, Any], words: str) -> None:
    described = {"EndpointName": "dogs", "EndpointStatus": status}
    with pytest.raises(StepFailed, match=words):
        check_variant(described, {"ProductionVariants": [variant]}, "AllTraffic")


def test_an_endpoint_that_can_scale_is_let_through() -> None:
    for instance_type in ("ml.m5.large", "ml.trn1.2xlarge"):
        variant = {"VariantName": "AllTraffic", "InstanceType": instance_type}
        for status in ("InService", "Updating"):
            described = {"EndpointName": "dogs", "EndpointStatus": status}
            assert check_variant(described, {"ProductionVariants": [variant]}, "AllTraffic") == instance_type


def test_what_the_target_means() -> None:
    said = meaning(INVOCATIONS, 20)
    assert "20 requests per minute and instance, one every 3 s and instance, and not 20 at once" in said
    assert CONCURRENCY in said
    assert "clock" not in said
    assert "at clock x60 its minute is 1 s, so it is 20 a second here" in meaning(INVOCATIONS, 20, CloudClock(60.0))
    assert "at clock x30 its minute is 2 s, so it is 10 a second here" in meaning(INVOCATIONS, 20, CloudClock(30.0))
    assert "20 requests under way at the same time on each instance" in meaning(CONCURRENCY, 20)
    assert "70% of the environments" in meaning(UTILIZATION, 0.7)
    assert "50 % of one core" in meaning(CPU, 50)


def test_the_recommended_target_is_the_capacity_in_the_metric_s_own_unit() -> None:
    per_minute = recommend(measured(), INVOCATIONS, 0.7)
    assert (per_minute.target, per_minute.full) == (420.0, 600.0)  # 10 a second x 60 s x 0.7
    assert per_minute.arithmetic == f"10 requests a second and instance x 60 s x 0.7 = 420 of {INVOCATIONS}"
    at_once = recommend(measured(), CONCURRENCY, 0.7)
    assert (at_once.target, at_once.full) == (1.4, 2.0)  # 10 a second x 0.2 s x 0.7
    fast = recommend(measured(), INVOCATIONS, 0.5, CloudClock(60.0))
    assert fast.target == 5.0  # the minute lasts a second there
    assert "1 s (a minute at clock x60)" in fast.arithmetic


def test_a_load_that_measured_no_capacity_recommends_nothing() -> None:
    with pytest.raises(StepFailed, match="sent at one rate"):
        recommend(measured(capacity=None), INVOCATIONS, 0.7)
    with pytest.raises(StepFailed, match="function dogs is none of an endpoint's instance"):
        recommend(measured(kind="function"), INVOCATIONS, 0.7)
    with pytest.raises(StepFailed, match="CPUUtilization is per cent"):
        recommend(measured(), CPU, 0.7)


def test_a_capacity_counts_for_the_endpoint_and_the_instances_that_it_was_measured_on() -> None:
    check_measured(measured(), "dogs", "ml.m5.large")
    with pytest.raises(StepFailed, match="measured on endpoint dogs, and endpoint cats is to scale") as caught:
        check_measured(measured(), "cats", "ml.m5.large")
    assert "--endpoint dogs" in caught.value.hint
    with pytest.raises(StepFailed, match=r"measured on ml.m5.large, and endpoint dogs runs on ml.c5.xlarge"):
        check_measured(measured(), "dogs", "ml.c5.xlarge")


@pytest.mark.parametrize(
    ("target", "words"),
    [(700.0, "above what an instance holds \\(600\\)"), (20.0, "3% of what an instance holds"), (300.0, "^$")],
)
def test_a_target_far_from_the_capacity_is_warned_of(target: float, words: str) -> None:
    assert re.search(words, warning(target, recommend(measured(), INVOCATIONS, 0.7)))


@pytest.mark.parametrize(
    ("namespace", "resource", "owner"),
    [
        ("sagemaker", "endpoint/dogs/variant/AllTraffic", "dogs"),
        ("lambda", "function:hound:live", "hound"),
        ("sagemaker", "inference-component/dogs", ""),
    ],
)
def test_whose_a_scalable_target_is(namespace: str, resource: str, owner: str) -> None:
    assert ScalingPlace(namespace, resource, "x").owner == owner
