"""Commands for single steps of the pipeline: init, upload, invoke."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated

import typer

from sagehound.cli.opening import opened
from sagehound.cli.options import (
    ConfigOption,
    DataDirOption,
    DataOption,
    DuplicatesOption,
    JsonOption,
    MirrorOption,
    PlanOption,
    ProfileOption,
    RegionOption,
    SetOption,
    SkipOption,
    TargetOption,
)
from sagehound.cli.telling import telling
from sagehound.errors import StepFailed
from sagehound.settings import PipelineSettings, cache_directory


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
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the pictures and upload what changed."""
    from sagehound.pipeline import upload as step_module
    from sagehound.pipeline.intake.source import take_in

    given = {"skip_unreadable": skip_unreadable, "duplicates": duplicates}
    with opened(
        config, overrides, target, data_dir, as_json, given=given, plan=plan, profile=profile, region=region
    ) as here:
        clients, settings, reporter = here.clients, here.settings, here.reporter
        source = data or sample_pictures()
        with reporter.step("check") as step:
            manifest = take_in(source, settings.data, cache_directory(), reporter, clients.s3)
            step.done(manifest.describe(), name=manifest.name, digest=manifest.digest, counts=manifest.counts)
        with reporter.step("upload") as step:
            workers = settings.upload_workers
            step_module.upload(clients, here.names, manifest, reporter, step, workers=workers, mirror=mirror)


def invoke(
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, http(s) addresses.")],
    endpoint: Annotated[str, typer.Option("--endpoint", help="Endpoint to ask (default: the project's).")] = "",
    config: ConfigOption = None,
    overrides: SetOption = None,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the endpoint what is on pictures: names and scores."""
    from sagehound.pipeline import invoke as step_module

    with (
        opened(config, overrides, target, data_dir, as_json, plan=plan, profile=profile, region=region) as here,
        here.reporter.step("invoke") as step,
    ):
        name = endpoint or here.names.endpoint
        step_module.invoke(here.clients, name, step_module.questions_of(pictures), step)


def sample_pictures() -> str:
    """The packaged sample: a few hundred Fashion-MNIST pictures as class folders."""
    return str(importlib.resources.files("sagehound") / "sample" / "pictures")
