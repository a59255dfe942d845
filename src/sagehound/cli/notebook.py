"""The command for the notebook instance: notebook."""

from __future__ import annotations

import webbrowser
from typing import Annotated

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
    TargetOption,
)
from sagehound.errors import StepFailed


def notebook(
    instance_type: Annotated[
        str, typer.Option("--instance-type", help="SageMaker instance type (default: ml.m5.xlarge).", metavar="TYPE")
    ] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Stop it; its folder is kept.")] = False,
    remove: Annotated[bool, typer.Option("--delete", help="Delete it with its folder.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the link in a browser, where there is one.")
    ] = True,
    config: ConfigOption = None,
    overrides: SetOption = None,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open JupyterLab on a notebook instance, with the whole walk as a notebook in it."""
    from sagehound.pipeline.notebook import delete_notebook, open_notebook, stop_notebook

    given = {"notebook_instance_type": instance_type}
    with opened(
        config, overrides, target, data_dir, as_json, given=given, plan=plan, profile=profile, region=region
    ) as here:
        if stop and remove:
            raise StepFailed("notebook", "--stop and --delete exclude each other", "Give one of them.")
        with here.reporter.step("notebook") as step:
            if stop:
                stop_notebook(here.clients, here.names, step)
            elif remove:
                delete_notebook(here.clients, here.names, step)
            else:
                link = open_notebook(here.clients, here.names, here.settings, step).url
                if browser and not as_json and not plan:
                    webbrowser.open(link)
