"""Commands for what there is and for its end: status and delete."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagehound.cli.local_cloud import count_words, duration, status_counts
from sagehound.cli.local_process import Server, running
from sagehound.cli.opening import opened
from sagehound.cli.options import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    SetOption,
    TargetOption,
    connect,
    data_dir_of,
    load,
)
from sagehound.cli.telling import telling
from sagehound.errors import StepFailed
from sagehound.settings import PipelineSettings

if TYPE_CHECKING:
    from sagehound.pipeline.clients import Clients
    from sagehound.pipeline.progress import Reporter

EveryProjectOption = Annotated[
    bool, typer.Option("--all", help="Of every project that sagehound has made in this account and region.")
]

_NAMING = ("project=", "bucket=", "role_name=", "region=", "profile=", "function.", "deploy.endpoint_name=")
"""What settings begin with that tell where things are and what they are called."""


def delete(
    run: Annotated[
        str, typer.Argument(help="Only what this run has made (default: all of the project).", metavar="[RUN]")
    ] = "",
    every_project: EveryProjectOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete everything that the project, or one run of it, has made, and wait until it is gone; what is left is
    listed with the reason, and ends the command with exit code 1. Safe to repeat."""
    from sagehound.pipeline.belongings.thing import counted
    from sagehound.pipeline.cleanup import delete_belongings, find_belongings

    with opened(config, overrides, target, data_dir, as_json, profile=profile, region=region) as here:
        if run and every_project:
            raise StepFailed("delete", f"run {run} and --all exclude each other", "Give one of them.")
        found = find_belongings(here.clients, here.names, run=run, everywhere=every_project)
        lines = found.lines()
        if dry_run:
            with here.reporter.step("delete") as step:
                step.lines = [*lines, *found.notes()]
                step.done(
                    f"{counted(len(lines))} would be deleted" if lines else "nothing to delete",
                    would_delete=lines,
                    stays=[one.as_dict() for one in found.stays],
                    not_looked_at=found.unseen,
                )
            return
        if lines and not yes:
            if as_json:
                raise StepFailed("delete", f"{counted(len(lines))} would be deleted", "Confirm with --yes.")
            typer.echo("\n".join([*lines, *found.notes()]))
            if not typer.confirm(f"Delete all of this for good ({target})?"):
                raise typer.Exit(1)
        with here.reporter.step("delete") as step:
            delete_belongings(here.clients, found, step)


def status(
    every_project: EveryProjectOption = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the local cloud's process (exit code 3 where it does not run), what exists of the project, and what of it
    costs money for as long as it is there."""
    with telling(as_json):
        folder, server = data_dir_of(data_dir), None
        if target == "local":
            server = running(folder)
            if server is None:
                text = f"no local cloud is running on {folder}"
                typer.echo(json.dumps({"running": False, "data_dir": str(folder)}) if as_json else text)
                raise typer.Exit(3)
        settings = load(config, overrides, profile=profile, region=region)
        clients = connect(target, settings, folder)
        _show_status(clients, settings, server, folder, every_project=every_project, as_json=as_json)


def _show_status(
    clients: Clients,
    settings: PipelineSettings,
    server: Server | None,
    folder: Path,
    *,
    every_project: bool,
    as_json: bool,
) -> None:
    from sagehound.pipeline.names import Names
    from sagehound.pipeline.status import standing

    found = standing(clients, Names.of(settings, clients.account_id), everywhere=every_project)
    counts = status_counts(folder) if server else {}
    if as_json:
        typer.echo(json.dumps({**_facts(server, folder), **counts, **found.as_dict()}))
        return
    if server:
        typer.echo(f"address        {server.endpoint_url}")
        typer.echo(f"process        {server.pid}, up {duration(time.time() - server.started)}")
        typer.echo(f"data           {folder}")
        if server.clock:
            typer.echo(f"clock          {server.clock}")
    for kind, count in counts.items():
        typer.echo(f"{kind.replace('_', ' '):14} {count_words(count)}")
    for line in found.lines():
        typer.echo(line)


def _facts(server: Server | None, folder: Path) -> dict[str, Any]:
    if server is None:
        return {}
    facts = {"running": True, "pid": server.pid, "port": server.port, "endpoint_url": server.endpoint_url}
    facts |= {"speed": server.speed}
    return facts | {"uptime_seconds": round(time.time() - server.started, 1), "data_dir": str(folder)}


def tell_what_exists(reporter: Reporter, clients: Clients, settings: PipelineSettings, **given: object) -> None:
    """After Ctrl-C or a failure: what there is, and the command that removes it, with the options that it takes.

    A second Ctrl-C ends the looking at once.
    """
    from sagehound.pipeline.names import Names
    from sagehound.pipeline.status import exists_in_short

    command, everything = delete_command(settings.run, **given), delete_command("", **given)
    try:
        lines = exists_in_short(clients, Names.of(settings, clients.account_id))
    except KeyboardInterrupt:
        lines = ["what exists was not looked at to its end: `sagehound status` shows it"]
    except StepFailed as error:
        lines = [f"what exists could not be looked at: {error.cause}"]
    for line in lines:
        reporter.note(line)
    reporter.note(f"`{command}` removes what this run has made, `{everything}` all of the project", delete=command)


def delete_command(run: str, **given: object) -> str:
    """`sagehound delete` with these options: values that are empty or a default are left out."""
    words = ["sagehound", "delete", *([run] if run else [])]
    for name, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            # What is left as it is, and settings that do not say whose the things are, go without saying.
            usual = not one or (name, one) == ("target", "local")
            if not usual and (name != "set" or str(one).startswith(_NAMING)):
                words += [f"--{name.replace('_', '-')}", str(one)]
    return shlex.join(words)
