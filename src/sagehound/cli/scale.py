"""The command that lets endpoint and function follow the load, explains it, shows it and takes it away: scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagehound.cli.opening import opened
from sagehound.cli.options import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    PlanOption,
    ProfileOption,
    RegionOption,
    SetOption,
)
from sagehound.errors import StepFailed

if TYPE_CHECKING:
    from sagehound.pipeline.scaling import Asked

_METRICS = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    "cpu": "CPUUtilization",
}
_PLACES = ("local", "aws")


def scale(
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="Only this endpoint (default: the project's, and its function).")
    ] = "",
    function: Annotated[
        str,
        typer.Option("--function", help="Only this function, or both where both are named.", metavar="NAME[:ALIAS]"),
    ] = "",
    minimum: Annotated[int | None, typer.Option("--min", help="Instances at least (scale.min_capacity).")] = None,
    maximum: Annotated[int | None, typer.Option("--max", help="Instances at most (scale.max_capacity).")] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="Value of the metric to keep to (scale.target); or where the AWS calls go. May be given twice.",
            metavar="VALUE|local|aws",
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="What is measured (scale.metric).", metavar="|".join((*_METRICS, "NAME")))
    ] = "",
    scale_in_cooldown: Annotated[
        int | None, typer.Option("--scale-in-cooldown", help="Seconds between two steps to fewer.")
    ] = None,
    scale_out_cooldown: Annotated[
        int | None, typer.Option("--scale-out-cooldown", help="Seconds in which a step to more counts as done.")
    ] = None,
    from_load: Annotated[
        Path | None,
        typer.Option(
            "--from-load", help="Take the target from what `sagehound load --capacity` found.", metavar="FILE"
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only show what is registered and how it stands.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Deregister, with policies, alarms and schedules.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    plan: PlanOption = False,
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the endpoint's instances and the function's ready environments follow the load, and show how they stand.

    Both are registered with Application Auto Scaling, and a target tracking policy is put on each; what is so
    already stays. The target is explained in the metric's own unit; with --from-load and no target the measured
    capacity gives it.
    """
    from sagehound.pipeline import scaling

    value, place = _value_and_place(targets or [])
    given = {
        "min_capacity": minimum,
        "max_capacity": maximum,
        "target": value,
        "metric": _METRICS.get(metric, metric) or None,
        "scale_in_cooldown": scale_in_cooldown,
        "scale_out_cooldown": scale_out_cooldown,
    }
    short = [f"scale.{key}={one}" for key, one in given.items() if one is not None]
    with opened(
        config, [*(overrides or []), *short], place, data_dir, as_json, plan=plan, profile=profile, region=region
    ) as here:
        if show and remove:
            raise StepFailed("scale", "--show and --remove exclude each other", "Give one of them.")
        asked = _asked(endpoint, function, None if show or remove else from_load, take_target=value is None)
        with here.reporter.step("scale") as step:
            if show:
                scaling.show(here.clients, here.names, here.settings, step, asked)
            elif remove:
                scaling.unscale(here.clients, here.names, here.settings, step, asked)
            else:
                scaling.scale(here.clients, here.names, here.settings, here.reporter, step, asked)


def _asked(endpoint: str, function: str, measured: Path | None, *, take_target: bool) -> Asked:
    from sagehound.pipeline.load.result import LoadResult
    from sagehound.pipeline.scaling import Asked

    result = LoadResult.read(measured, "scale") if measured is not None else None
    return Asked(endpoint, function, result, take_target)


def _value_and_place(targets: Sequence[str]) -> tuple[str | None, str]:
    """What --target said: a value, or where the calls go."""
    value, place = None, "local"
    for one in targets:
        if one in _PLACES:
            place = one
        else:
            value = one
    return value, place
