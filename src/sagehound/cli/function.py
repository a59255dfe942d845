"""The command for the function in front of the endpoint: function."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagehound.cli.opening import Opened, opened
from sagehound.cli.options import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    PlanOption,
    ProfileOption,
    RegionOption,
    SetOption,
    TargetOption,
)
from sagehound.errors import StepFailed

if TYPE_CHECKING:
    from sagehound.pipeline.function import Trial


def function(
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="Endpoint that it asks (default: the project's).", metavar="NAME")
    ] = "",
    entry_point: Annotated[
        str, typer.Option("--entry-point", help="A handler of your own: a .py, a .zip or a folder.", metavar="PATH")
    ] = "",
    handler: Annotated[
        str, typer.Option("--handler", help="MODULE.FUNCTION in it (default: found).", metavar="MODULE.FUNCTION")
    ] = "",
    event: Annotated[
        str, typer.Option("--event", help="Send this event instead of a test picture's.", metavar="JSON")
    ] = "",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Send this picture, in the event itself.", metavar="FILE")
    ] = None,
    names: Annotated[bool, typer.Option("--names", help="Ask for names with the scores, in the one event.")] = False,
    no_invoke: Annotated[bool, typer.Option("--no-invoke", help="Send no event.")] = False,
    url: Annotated[bool, typer.Option("--url", help="Give it an address of its own, for signed requests.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a Lambda function in front of the endpoint, with the least permission that works, and try it."""
    from sagehound.pipeline.function import deploy_function

    given = {"function_source_dir": entry_point, "function_handler": handler}
    with opened(
        config, overrides, target, data_dir, as_json, given=given, plan=plan, profile=profile, region=region
    ) as here:
        if sum((bool(event), picture is not None, no_invoke)) > 1:
            raise StepFailed("function", "--event, --picture and --no-invoke exclude each other", "Give one of them.")
        with here.reporter.step("function") as step:
            deploy_function(
                here.clients,
                here.names,
                here.settings.function,
                endpoint or here.names.endpoint,
                here.reporter,
                step,
                trial=None if no_invoke else _trial(here, event, picture, names),
                url=url,
            )


def _trial(here: Opened, event: str, picture: Path | None, names: bool) -> Trial:
    """What is sent: the event or the picture that was given, else a picture of the test split."""
    from sagehound.pipeline.function import Trial
    from sagehound.pipeline.function_event import picture_event, read_event, stored_picture
    from sagehound.pipeline.upload import stored_data

    if event:
        return Trial(read_event(event), names=False)
    if picture is not None:
        trial = Trial(picture_event(picture), names=not names)
    else:
        data = stored_data(here.clients, here.names, here.settings.data.name, step="function")
        trial = Trial(stored_picture(here.clients, here.names, data), len(data.classes), names=not names)
    if names:
        asked = dataclasses.replace(trial.picture, event={**trial.picture.event, "names": True})
        trial = dataclasses.replace(trial, picture=asked)
    return trial
