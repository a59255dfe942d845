"""The options that several commands share, and what they become."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagehound.cli.local_process import running
from sagehound.errors import StepFailed
from sagehound.settings import PipelineSettings, data_directory

if TYPE_CHECKING:
    from sagehound.pipeline.clients import Clients

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file (default: ./pipeline.toml where it exists).")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, as in train.epochs=3.")
]
TargetOption = Annotated[str, typer.Option(help="Where the AWS calls go: local or aws.", metavar="local|aws")]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="Profile of your AWS configuration, with --target aws.", metavar="NAME")
]
RegionOption = Annotated[str, typer.Option("--region", help="AWS region (default: the settings').", metavar="REGION")]
DataDirOption = Annotated[
    Path | None, typer.Option(help="The local cloud's data directory (default: SAGEHOUND_DATA_DIR or ~/.sagehound).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line, for machines.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show the jobs' own lines as they come.")]
PortOption = Annotated[
    int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.", min=0, max=65535, envvar="SAGEHOUND_PORT")
]
DataOption = Annotated[
    str | None, typer.Option(help="A folder, a zip, an http(s) address of a zip, or s3://BUCKET/PREFIX.")
]
AgainOption = Annotated[bool, typer.Option("--again", help="Do it anew even where the same job is done already.")]
AnywayOption = Annotated[bool, typer.Option("--anyway", help="Go on with a model that is no better than guessing.")]
SpotOption = Annotated[
    bool, typer.Option("--spot", help="Train on spot instances: cheaper, and AWS may take them back for a while.")
]
PlanOption = Annotated[
    bool, typer.Option("--plan", help="Make nothing: print the calls, the policy that they need, and what they cost.")
]
EntryPointOption = Annotated[
    str, typer.Option("--entry-point", help="A training script of your own (default: ours).", metavar="SCRIPT")
]
SourceDirOption = Annotated[
    str, typer.Option("--source-dir", help="Folder of your own code; --entry-point lies in it.", metavar="DIR")
]
MirrorOption = Annotated[
    bool, typer.Option("--mirror", help="Remove objects of the data set that are not in the data.")
]
SkipOption = Annotated[bool, typer.Option("--skip-unreadable", help="Leave unreadable pictures out; they are named.")]
DuplicatesOption = Annotated[
    str | None, typer.Option(metavar="drop|keep|refuse", help="What to do with one picture in two splits.")
]


def data_dir_of(option: Path | None) -> Path:
    """The data directory that was asked for, as a full path."""
    return (option or data_directory()).expanduser().resolve()


def load(config: Path | None, overrides: list[str] | None, **given: object) -> PipelineSettings:
    """The settings, with --set and the options that are short for a setting (None and False: not given)."""
    from sagehound.pipeline.settings_file import load_settings

    short = {
        "skip_unreadable": "data.skip_unreadable",
        "duplicates": "data.duplicates",
        "spot": "spot.enabled",
        "profile": "profile",
        "region": "region",
        "tune_entry_point": "tune.entry_point",
        "tune_source_dir": "tune.source_dir",
        "train_entry_point": "train.entry_point",
        "train_source_dir": "train.source_dir",
        "function_source_dir": "function.source_dir",
        "function_handler": "function.handler",
        "notebook_instance_type": "notebook.instance_type",
    }
    extra = [
        f"{short[name]}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in given.items()
        if value
    ]
    settings = load_settings(config, [*(overrides or []), *extra])
    began = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return settings if settings.run else dataclasses.replace(settings, run=began)


def own_script(step: str, entry_point: str, source_dir: str) -> dict[str, object]:
    """What --entry-point and --source-dir mean as settings of ``step``: a file that is there goes before ours."""
    if entry_point and not source_dir and Path(entry_point).name == entry_point and Path(entry_point).is_file():
        entry_point = f"./{entry_point}"
    return {f"{step}_entry_point": entry_point, f"{step}_source_dir": source_dir}


def connect(target: str, settings: PipelineSettings, data_dir: Path) -> Clients:
    """Clients of the target; raises StepFailed where nothing answers there."""
    from sagehound.pipeline.clients import connect_aws, connect_local

    if target == "aws":
        return connect_aws(settings)
    if target != "local":
        raise StepFailed("connect", f"--target {target} is unknown", "It is local or aws.")
    if running(data_dir) is None:
        raise StepFailed(
            "connect",
            f"no local cloud is running on {data_dir}",
            "Start it with `sagehound up --detach`, or use --target aws.",
        )
    return connect_local(data_dir, settings.region, settings.upload_workers)
