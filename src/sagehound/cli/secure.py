"""The command secure: what the run's roles, bucket and functions allow too much, and the least that they need."""

from __future__ import annotations

from pathlib import Path
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

_DAYS = 90


def secure(
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="NAME", help="A role beside the project's own; repeatable.")
    ] = None,
    attach: Annotated[
        str, typer.Option("--attach", metavar="POLICY", help="Attach a managed policy to the function's role first.")
    ] = "",
    apply: Annotated[
        bool, typer.Option("--apply", help="Replace the policies; the old ones are saved in a file first.")
    ] = False,
    prove: Annotated[bool, typer.Option("--prove", help="Send the function its test event afterwards.")] = False,
    days: Annotated[int, typer.Option(help="How many days of calls are looked at.", min=1, max=_DAYS)] = _DAYS,
    save_in: Annotated[Path, typer.Option(help="Folder for the file with the replaced policies.")] = Path(),
    restore: Annotated[
        Path | None, typer.Option("--restore", metavar="FILE", help="Only bring back what such a file holds.")
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find permissions that are too wide, and derive, apply and prove the least from what was really called.

    Looked at are the roles that the project made, those named with --role, its bucket and its functions. --attach
    AmazonSageMakerFullAccess shows what is found on the usual choice; with --apply it goes again.
    """
    from sagehound.pipeline.secure import step as step_module

    with (
        opened(config, overrides, target, data_dir, as_json, plan=plan, profile=profile, region=region) as here,
        here.reporter.step("secure") as step,
    ):
        if restore is not None:
            step_module.restore_roles(here.clients, restore, step)
            return
        step_module.secure(
            here.clients,
            here.names,
            here.settings,
            step,
            roles=role or [],
            attach=attach,
            apply=apply,
            options=step_module.Options(folder=save_in, days=days, prove=prove),
        )
