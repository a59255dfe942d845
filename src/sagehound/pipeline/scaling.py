"""Scaling: the endpoint's instances and the function's environments are registered to follow a target."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.deploy import describe_endpoint
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.scaling_cleanup import ScalingPlace, remove_scaling
from sagehound.pipeline.scaling_meaning import (
    Recommendation,
    check_measured,
    meaning,
    recommend,
    warning,
)
from sagehound.pipeline.scaling_permissions import scaling_step
from sagehound.pipeline.scaling_requests import (
    Tracked,
    check_variant,
    endpoint_resource,
    endpoint_tracked,
    function_resource,
    function_tracked,
)
from sagehound.pipeline.scaling_state import ScalingState, read_state, target_of
from sagehound.settings import PipelineSettings, ScaleSettings

_USUAL_TARGET = ScaleSettings().target


@dataclass(frozen=True)
class Asked:
    """What shall scale: both of the project where neither is named; ``function`` is NAME or NAME:ALIAS."""

    endpoint: str = ""
    function: str = ""
    measured: LoadResult | None = None
    """A load that found the endpoint's capacity."""
    take_target: bool = True
    """Whether the target that it recommends is taken, or only told."""

    @property
    def both(self) -> bool:
        """Whether the project's endpoint and function are meant."""
        return not self.endpoint and not self.function


@dataclass(frozen=True)
class Scaling:
    """What is registered, how it came to be (registered, changed, was there), and how it stands."""

    tracked: list[Tracked]
    hows: list[str]
    states: list[ScalingState]


def scale(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    reporter: Reporter,
    step: Step,
    asked: Asked = Asked(),
) -> Scaling:
    """Register the scalable targets and their target tracking policies, and show how they stand.

    What is registered as it should be already is left alone. Raises StepFailed: for bounds, targets and endpoints
    that cannot scale before AWS is asked to, and with AWS's own words where it refuses.
    """
    recommended: Recommendation | None = None
    wanted = settings.scale
    if asked.measured is not None:
        recommended = _recommended(clients, wanted, asked, asked.measured)
        if asked.take_target:
            if wanted.target not in (_USUAL_TARGET, recommended.target):
                reporter.note(f"the measured target {recommended.target:g} replaces scale.target = {wanted.target:g}")
            wanted = dataclasses.replace(wanted, target=recommended.target)
    with scaling_step():
        tracked = _subjects(clients, names, settings, wanted, asked, reporter)
        hows = [_ensure(clients, names, one) for one in tracked]
        states = [state for one in tracked if (state := read_state(clients, one.place))]
    if recommended is not None:
        for one in tracked:
            told = warning(one.target, recommended) if one.namespace == "sagemaker" else ""
            if told:
                reporter.note(told, target=one.target, recommended=recommended.target)
    scaling = Scaling(tracked, hows, states)
    _tell(clients, scaling, recommended, step)
    return scaling


def unscale(
    clients: Clients, names: Names, settings: PipelineSettings, step: Step, asked: Asked = Asked()
) -> list[str]:
    """Deregister what `scale` has registered, with policies, alarms and schedules; the capacity stays as it is.

    The resources that were registered.
    """
    with scaling_step():
        found = [place for place in _places(names, settings, asked) if target_of(clients, place.members)]
        for place in found:
            remove_scaling(clients, place)
    removed = [place.resource_id for place in found]
    step.done(f"removed from {', '.join(removed)}" if removed else "nothing was registered", removed=removed)
    return removed


def show(
    clients: Clients, names: Names, settings: PipelineSettings, step: Step, asked: Asked = Asked()
) -> list[ScalingState]:
    """What is registered now and how it stands, whoever registered it; nothing is changed."""
    with scaling_step():
        found = [read_state(clients, place.members) for place in _places(names, settings, asked)]
    states = [state for state in found if state is not None]
    step.lines = [line for state in states for line in state.lines()]
    what = f"{len(states)} registered" if states else "nothing is registered; `sagehound scale` does it"
    step.done(what, speed=clients.clock.speed, targets=[state.as_dict() for state in states])
    return states


def _recommended(clients: Clients, wanted: ScaleSettings, asked: Asked, measured: LoadResult) -> Recommendation:
    if asked.function and not asked.endpoint:
        raise StepFailed(
            "scale",
            f"the measured capacity is an endpoint's, and only function {asked.function} is to scale",
            "Leave --from-load out, or name the endpoint as well: --endpoint NAME.",
        )
    return recommend(measured, wanted.metric, wanted.safety, clients.clock)


def _places(names: Names, settings: PipelineSettings, asked: Asked) -> list[ScalingPlace]:
    """Where what was asked for is or would be registered."""
    places = []
    if asked.endpoint or asked.both:
        resource = endpoint_resource(asked.endpoint or names.endpoint, settings.deploy.variant_name)
        places.append(ScalingPlace("sagemaker", resource, "sagemaker:variant:DesiredInstanceCount"))
    if asked.function or asked.both:
        resource = function_resource(*_function_and_alias(names, settings, asked))
        places.append(ScalingPlace("lambda", resource, "lambda:function:ProvisionedConcurrency"))
    return places


def _subjects(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    wanted: ScaleSettings,
    asked: Asked,
    reporter: Reporter,
) -> list[Tracked]:
    """What is to be registered; everything is checked before anything is."""
    tracked = []
    if asked.endpoint or asked.both:
        endpoint = endpoint_tracked(asked.endpoint or names.endpoint, settings.deploy.variant_name, wanted)
        tracked.append(endpoint)
    if asked.function or asked.both:
        function, alias = _function_and_alias(names, settings, asked)
        tracked.append(function_tracked(function, alias, wanted))
    if asked.endpoint or asked.both:
        _check_endpoint(clients, asked.endpoint or names.endpoint, settings.deploy.variant_name, asked.measured)
    if asked.function or asked.both:
        missing = _why_not(clients, settings, function, alias, named=bool(asked.function))
        if missing and asked.both:
            reporter.note(f"{missing}: only the endpoint scales")
            tracked.pop()
        elif missing:
            raise StepFailed("scale", missing, "`sagehound function` makes the function and its alias.")
    return tracked


def _check_endpoint(clients: Clients, name: str, variant: str, measured: LoadResult | None) -> None:
    found = describe_endpoint(clients, name)
    if found is None:
        raise StepFailed("scale", f"there is no endpoint {name}", "`sagehound deploy` makes the project's.")
    config = clients.sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    instance_type = check_variant(found, config, variant)
    if measured is not None:
        check_measured(measured, name, instance_type)


def _function_and_alias(names: Names, settings: PipelineSettings, asked: Asked) -> tuple[str, str]:
    function, _, alias = asked.function.partition(":")
    return function or names.function, alias or settings.function.alias


def _why_not(clients: Clients, settings: PipelineSettings, function: str, alias: str, *, named: bool) -> str:
    """What keeps a function from being scaled; empty where nothing does."""
    from botocore.exceptions import ClientError

    if not named and not settings.function.provisioned_concurrency:
        return f"no environments of function {function} are kept ready (function.provisioned_concurrency = 0)"
    try:
        found = clients.lambda_.get_alias(FunctionName=function, Name=alias)
    except ClientError as error:
        if error_of(error)[0] != "ResourceNotFoundException":
            raise
        return f"there is no function {function} with an alias {alias}"
    if found["FunctionVersion"] == "$LATEST" or found.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        return f"alias {alias} of function {function} is none of a single published version: only those are kept ready"
    return ""


def _ensure(clients: Clients, names: Names, tracked: Tracked) -> str:
    """Register and put the policy where they differ from what is wanted: registered, changed or was there."""
    scaling, place = clients.autoscaling, tracked.place
    found = target_of(clients, place)
    bounds = {"MinCapacity": tracked.minimum, "MaxCapacity": tracked.maximum}
    how = "was there"
    if found is None:
        tags = {tag["Key"]: tag["Value"] for tag in names.tags}
        scaling.register_scalable_target(**place, **bounds, Tags=tags)
        how = "registered"
    elif {key: found[key] for key in bounds} != bounds:
        scaling.register_scalable_target(**place, **bounds)
        how = "changed"
    policies = scaling.describe_scaling_policies(**place, PolicyNames=[names.scaling_policy])["ScalingPolicies"]
    if not policies or _differs(policies[0], tracked):
        scaling.put_scaling_policy(
            **place,
            PolicyName=names.scaling_policy,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=tracked.configuration(),
        )
        how = "changed" if how == "was there" else how
    return how


def _differs(policy: dict[str, Any], tracked: Tracked) -> bool:
    there = {"DisableScaleIn": False, **policy.get("TargetTrackingScalingPolicyConfiguration", {})}
    return there != tracked.configuration() or not policy.get("Alarms")


def _tell(clients: Clients, scaling: Scaling, recommended: Recommendation | None, step: Step) -> None:
    step.lines = [meaning(one.metric, one.target, clients.clock) for one in scaling.tracked]
    if recommended is not None:
        step.lines.append(f"measured: {recommended.arithmetic}")
    step.lines += [line for state in scaling.states for line in state.lines()]
    text = "; ".join(_words(one, how) for one, how in zip(scaling.tracked, scaling.hows, strict=True))
    step.done(
        text,
        speed=clients.clock.speed,
        recommended=dataclasses.asdict(recommended) if recommended else None,
        targets=_results(scaling.tracked, scaling.hows, scaling.states),
    )


def _words(tracked: Tracked, how: str) -> str:
    return f"{tracked.subject}  {tracked.minimum} to {tracked.maximum}, target {tracked.target:g} ({how})"


def _results(tracked: Sequence[Tracked], hows: Sequence[str], states: Sequence[ScalingState]) -> list[dict[str, Any]]:
    by_resource = {state.resource_id: state.as_dict() for state in states}
    return [
        {"metric": one.metric, "target": one.target, "how": how, **by_resource.get(one.resource_id, {})}
        for one, how in zip(tracked, hows, strict=True)
    ]
