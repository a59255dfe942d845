"""The command that sends a load to an endpoint or a function: load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagehound.cli.opening import Opened, opened
from sagehound.cli.options import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    SetOption,
    TargetOption,
)
from sagehound.cli.telling import INTERRUPTED
from sagehound.errors import StepFailed

if TYPE_CHECKING:
    from sagehound.pipeline.load.plan import LoadPlan, Target
    from sagehound.pipeline.load.result import LoadResult
    from sagehound.pipeline.load.signing import Payload

FILE = Path("sagehound-load.json")
_SEARCH = "The search chooses its loads itself, within load.step and load.max_rate (--set)."
_EXCLUDING = (
    ("--endpoint", "--function", "Give one of them."),
    ("--rate", "--concurrency", "Give one of them."),
    *(("--capacity", option, _SEARCH) for option in ("--rate", "--concurrency", "--duration", "--ramp", "--after")),
)


def load(
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="Endpoint to send to (default: the project's).", metavar="NAME")
    ] = "",
    function: Annotated[str, typer.Option("--function", help="Function to call instead.", metavar="NAME[:ALIAS]")] = "",
    rate: Annotated[
        float | None, typer.Option("--rate", help="Requests a second, sent by the clock (default: load.rate).")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", help="So many callers instead, each waiting for its answer.", min=1)
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", help="Seconds, the ramp included (default: load.duration).")
    ] = None,
    ramp: Annotated[
        float | None, typer.Option("--ramp", help="Seconds in which the load grows from nothing (default: load.ramp).")
    ] = None,
    after: Annotated[
        float, typer.Option("--after", help="Watch at most so many seconds more, until the instances are as before.")
    ] = 0.0,
    picture: Annotated[
        list[Path] | None,
        typer.Option("--picture", help="What is sent, in turn (default: test pictures of the bucket).", metavar="FILE"),
    ] = None,
    capacity: Annotated[
        bool, typer.Option("--capacity", help="Find the highest rate whose p99 stays below --p99.")
    ] = False,
    p99: Annotated[
        float | None, typer.Option("--p99", help="Milliseconds for --capacity (default: load.p99).", min=0.1)
    ] = None,
    save: Annotated[Path, typer.Option("--save", help="Where the result goes, as JSON.", metavar="FILE")] = FILE,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send requests to an endpoint or a function on schedule, and show latencies, errors and instances meanwhile.

    Latency counts from the moment that a request was due, so that a slow server is not forgiven. Ctrl-C ends the load
    and keeps what was measured. --capacity measures what one instance holds, for `sagehound scale --from-load`.
    """
    with opened(
        config, overrides, target, data_dir, as_json, tells_clock=False, profile=profile, region=region
    ) as here:
        _require_fitting(
            {
                "--endpoint": endpoint,
                "--function": function,
                "--rate": rate is not None,
                "--concurrency": concurrency is not None,
                "--duration": duration is not None,
                "--ramp": ramp is not None,
                "--after": after,
                "--capacity": capacity,
                "--p99": p99 is not None,
            }
        )
        _require_place(save)
        asked = _target(here, endpoint, function)
        payloads = _payloads(here, asked, picture or [])
        with here.reporter.step("load") as step:
            if capacity:
                result = _capacity(here, asked, payloads, p99, step)
            else:
                result = _once(here, asked, payloads, _plan(here, rate, concurrency, duration, ramp, after), step)
            _keep(here, result, save, step)
        if result.ended == "interrupted":
            raise typer.Exit(INTERRUPTED)


def _require_fitting(given: dict[str, Any]) -> None:
    """Refuse options that do not belong together."""
    for one, other, way_out in _EXCLUDING:
        if given[one] and given[other]:
            raise StepFailed("load", f"{one} and {other} exclude each other", way_out)
    if given["--p99"] and not given["--capacity"]:
        raise StepFailed("load", "--p99 is the bound of --capacity, and that is not given", "Add --capacity.")


def _require_place(save: Path) -> None:
    from sagehound.pipeline.load.result import require_place

    require_place(save)


def _keep(here: Opened, result: LoadResult, save: Path, step: Any) -> None:
    """Write the result; where that fails after all, its figures are told in place of the step's own line."""
    try:
        result.write(save)
    except StepFailed:
        here.reporter.note(step.text, **step.result)
        raise
    step.text += f"; {save}"
    step.result["path"] = str(save)


def _target(here: Opened, endpoint: str, function: str) -> Target:
    from sagehound.pipeline.load.plan import EndpointTarget, FunctionTarget

    if function:
        return FunctionTarget.of(function)
    return EndpointTarget(endpoint or here.names.endpoint)


def _payloads(here: Opened, asked: Target, files: list[Path]) -> list[Payload]:
    from sagehound.pipeline.load.payloads import payloads_of, stored_payloads

    if files:
        return payloads_of(asked, files)
    settings = here.settings
    return stored_payloads(here.clients, here.names, asked, settings.data.name, settings.load.pictures)


def _plan(
    here: Opened,
    rate: float | None,
    concurrency: int | None,
    duration: float | None,
    ramp: float | None,
    after: float,
) -> LoadPlan:
    from sagehound.pipeline.load.plan import LoadPlan

    usual = here.settings.load
    return LoadPlan(
        rate=0.0 if concurrency else usual.rate if rate is None else rate,
        concurrency=concurrency or 0,
        duration=usual.duration if duration is None else duration,
        ramp=usual.ramp if ramp is None else ramp,
        arrivals=usual.arrivals,
        seed=usual.seed,
        timeout=usual.timeout,
        max_in_flight=usual.max_in_flight,
        after=after,
    )


def _once(here: Opened, asked: Target, payloads: list[Payload], plan: LoadPlan, step: Any) -> LoadResult:
    from sagehound.pipeline.load.step import load as send

    return send(here.clients, asked, payloads, plan, here.reporter, step)


def _capacity(here: Opened, asked: Target, payloads: list[Payload], p99: float | None, step: Any) -> LoadResult:
    from sagehound.pipeline.load.measuring import measure_capacity

    return measure_capacity(here.clients, asked, payloads, here.settings.load, here.reporter, step, bound=p99)
