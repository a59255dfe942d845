"""Commands for the steps of the pipeline: init, upload, train, deploy, invoke, delete, and run for all of them."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated

import typer

from sagehound.cli.local_process import Server, running, start, stop
from sagehound.cli.options import (
    AgainOption,
    ConfigOption,
    DataDirOption,
    DataOption,
    DuplicatesOption,
    JsonOption,
    MirrorOption,
    PortOption,
    SetOption,
    SkipOption,
    TargetOption,
    VerboseOption,
    connect,
    data_dir_of,
    load,
)
from sagehound.cli.telling import telling
from sagehound.errors import Interrupted, StepFailed
from sagehound.settings import LocalCloudSettings, PipelineSettings, cache_directory

_PORT = LocalCloudSettings().port
# A failure from here on leaves something in the cloud that is worth looking at.
_WORTH_KEEPING = ("train", "deploy", "invoke", "delete")


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("pipeline.toml"),
    config: ConfigOption = None,
    overrides: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a pipeline.toml with every setting, its value and its sentence."""
    from sagehound.pipeline.settings_file import load_settings, render_settings

    with telling():
        settings = load_settings(config, overrides or []) if config or not path.exists() else PipelineSettings()
        if path.exists() and not force:
            raise StepFailed("init", f"{path} exists", "Overwrite it with --force, or name another file.")
        path.write_text(render_settings(settings), encoding="utf-8")
        typer.echo(f"wrote {path}")


def upload(
    data: DataOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    mirror: MirrorOption = False,
    skip_unreadable: SkipOption = False,
    duplicates: DuplicatesOption = None,
    target: TargetOption = "local",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the pictures and upload what changed."""
    from sagehound.pipeline import upload as step_module
    from sagehound.pipeline.intake.source import take_in
    from sagehound.pipeline.names import Names

    with telling(as_json) as reporter:
        settings = load(config, overrides, skip_unreadable=skip_unreadable, duplicates=duplicates)
        clients = connect(target, settings, data_dir_of(data_dir))
        source = data or sample_pictures()
        with reporter.step("check") as step:
            manifest = take_in(source, settings.data, cache_directory(), reporter, clients.s3)
            step.done(manifest.describe(), name=manifest.name, digest=manifest.digest, counts=manifest.counts)
        with reporter.step("upload") as step:
            names = Names.of(settings, clients.account_id)
            step_module.upload(clients, names, manifest, reporter, step, workers=settings.upload_workers, mirror=mirror)


def train(
    config: ConfigOption = None,
    overrides: SetOption = None,
    again: AgainOption = False,
    target: TargetOption = "local",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train on the uploaded pictures (data.name, or the latest upload)."""
    from sagehound.pipeline import train as step_module
    from sagehound.pipeline.names import Names
    from sagehound.pipeline.upload import stored_data

    with telling(as_json, verbose) as reporter:
        settings = load(config, overrides)
        clients = connect(target, settings, data_dir_of(data_dir))
        with reporter.step("train") as step:
            names = Names.of(settings, clients.account_id)
            data = stored_data(clients, names, settings.data.name)
            step_module.train(clients, names, settings.train, data, reporter, step, again=again)


def deploy(
    job: Annotated[str, typer.Option("--job", help="Training job (default: the latest completed one).")] = "",
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a trained model behind the project's endpoint."""
    from sagehound.pipeline import deploy as step_module
    from sagehound.pipeline.names import Names
    from sagehound.pipeline.train import latest_model

    with telling(as_json) as reporter:
        settings = load(config, overrides)
        clients = connect(target, settings, data_dir_of(data_dir))
        with reporter.step("deploy") as step:
            names = Names.of(settings, clients.account_id)
            model = latest_model(clients, names, job)
            step_module.deploy(clients, names, settings.deploy, settings.train, model, step)


def invoke(
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, http(s) addresses.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the endpoint what is on pictures: names and scores."""
    from sagehound.pipeline import invoke as step_module
    from sagehound.pipeline.names import Names

    with telling(as_json) as reporter:
        settings = load(config, overrides)
        clients = connect(target, settings, data_dir_of(data_dir))
        with reporter.step("invoke") as step:
            names = Names.of(settings, clients.account_id)
            step_module.invoke(clients, names.endpoint, step_module.questions_of(pictures), step)


def delete(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete everything that the project made: endpoints, models, its bucket, its role."""
    from sagehound.pipeline.cleanup import delete_belongings, find_belongings
    from sagehound.pipeline.names import Names

    with telling(as_json) as reporter:
        settings = load(config, overrides)
        clients = connect(target, settings, data_dir_of(data_dir))
        names = Names.of(settings, clients.account_id)
        found = find_belongings(clients, names)
        if found.lines() and not yes:
            if as_json:
                raise StepFailed("delete", f"{len(found.lines())} things would be deleted", "Confirm with --yes.")
            typer.echo("\n".join(found.lines()))
            if not typer.confirm(f"Delete all of this for good ({target})?"):
                raise typer.Exit(1)
        with reporter.step("delete") as step:
            delete_belongings(clients, names, found, step)


def run(
    data: DataOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    again: AgainOption = False,
    mirror: MirrorOption = False,
    skip_unreadable: SkipOption = False,
    duplicates: DuplicatesOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the endpoint, and the local cloud started for it, running.")
    ] = False,
    target: TargetOption = "local",
    port: PortOption = _PORT,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """The whole walk: check, upload, train, deploy, ask (without --data: the packaged Fashion-MNIST sample).

    Where no local cloud is running, one is started for the walk; then everything is deleted and the cloud is
    stopped at the end, unless --keep. In a cloud that was there before, and on AWS, the endpoint stays.
    """
    from sagehound.pipeline import run as walk

    with telling(as_json, verbose) as reporter, reporter.step("run") as whole:
        settings = load(config, overrides, skip_unreadable=skip_unreadable, duplicates=duplicates)
        folder = data_dir_of(data_dir)
        started: Server | None = None
        if target == "local" and running(folder) is None:
            with reporter.step("up") as step:
                started = start(LocalCloudSettings(data_dir=folder, port=port, region=settings.region))
                step.done(f"{started.endpoint_url}  the local cloud", endpoint_url=started.endpoint_url)
        temporary = started is not None and not keep
        try:
            walk.run(
                connect(target, settings, folder),
                settings,
                data or sample_pictures(),
                cache_directory(),
                reporter,
                mirror=mirror,
                again=again,
                delete=temporary,
            )
        except (StepFailed, KeyboardInterrupt) as error:
            stopped = isinstance(error, Interrupted | KeyboardInterrupt)
            if started is not None and (stopped or (isinstance(error, StepFailed) and error.step in _WORTH_KEEPING)):
                reporter.note(f"the local cloud goes on (pid {started.pid}); stop it with {_down(data_dir)}")
            elif started is not None:
                stop(started)
            raise
        if temporary and started is not None:
            stop(started)
        elif started is not None:
            reporter.note(f"the local cloud goes on at {started.endpoint_url}; stop it with {_down(data_dir)}")
        elif target == "aws":
            reporter.note(
                "the endpoint costs money while it is there; `sagehound delete --target aws` removes everything"
            )
        whole.done("all of it")


def sample_pictures() -> str:
    """The packaged sample: a few hundred Fashion-MNIST pictures as class folders."""
    return str(importlib.resources.files("sagehound") / "sample" / "pictures")


def _down(data_dir: Path | None) -> str:
    return f"`sagehound down --data-dir {data_dir}`" if data_dir else "`sagehound down`"
