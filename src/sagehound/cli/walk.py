"""The commands for the whole walk and what it leaves on paper: run and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagehound.cli.local_process import Server, running, start, stop
from sagehound.cli.opening import opened
from sagehound.cli.options import (
    AgainOption,
    AnywayOption,
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
from sagehound.cli.steps import sample_pictures
from sagehound.cli.telling import telling
from sagehound.errors import Interrupted, StepFailed
from sagehound.settings import LocalCloudSettings, PipelineSettings, cache_directory

if TYPE_CHECKING:
    from sagehound.pipeline.progress import Reporter

REPORT = Path("sagehound-report.html")
_PORT = LocalCloudSettings().port
# A failure from here on leaves something in the cloud that is worth looking at.
_WORTH_KEEPING = (
    *("features", "tune", "train", "deploy", "invoke", "function", "secure", "denial", "report", "delete"),
)


def run(
    data: DataOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    again: AgainOption = False,
    anyway: AnywayOption = False,
    mirror: MirrorOption = False,
    skip_unreadable: SkipOption = False,
    duplicates: DuplicatesOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the endpoints, and the local cloud started for them, running.")
    ] = False,
    report: Annotated[Path, typer.Option("--report", help="Where the report goes.")] = REPORT,
    target: TargetOption = "local",
    port: PortOption = _PORT,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """The whole walk: check, upload, tune, train on one and on several instances, deploy both, ask, put a function
    in front, look at permissions, report.

    Without --data it is about the packaged Fashion-MNIST sample. Where no local cloud is running, one is started
    for the walk; then everything is deleted and the cloud is stopped at the end, unless --keep. In a cloud that was
    there before, and on AWS, the endpoints stay.
    """
    from sagehound.pipeline import run as walk

    with telling(as_json, verbose) as reporter, reporter.step("run") as whole:
        settings = load(config, overrides, skip_unreadable=skip_unreadable, duplicates=duplicates)
        folder = data_dir_of(data_dir)
        started = _started(target, folder, port, settings, reporter)
        temporary = started is not None and not keep
        try:
            walk.run(
                connect(target, settings, folder),
                settings,
                data or sample_pictures(),
                cache_directory(),
                reporter,
                walk.Options(mirror=mirror, again=again, anyway=anyway, delete=temporary, report=report),
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
                "the endpoints and the environments that are kept ready cost money while they are there; "
                "`sagehound delete --target aws` removes everything"
            )
        whole.done("all of it")


def report(
    path: Annotated[Path, typer.Argument(help="Where it goes.")] = REPORT,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of the project's last tuning and trainings: one HTML file, and a table here."""
    from sagehound.pipeline import reporting

    with opened(config, overrides, target, data_dir, as_json) as here, here.reporter.step("report") as step:
        jobs = reporting.latest_jobs(here.clients, here.names)
        reporting.report(here.clients, here.names, jobs, path, step)


def _started(target: str, folder: Path, port: int, settings: PipelineSettings, reporter: Reporter) -> Server | None:
    """The local cloud that was started for this walk; None where one runs, or none is wanted."""
    if target != "local" or running(folder) is not None:
        return None
    with reporter.step("up") as step:
        started = start(LocalCloudSettings(data_dir=folder, port=port, region=settings.region))
        step.done(f"{started.endpoint_url}  the local cloud", endpoint_url=started.endpoint_url)
    return started


def _down(data_dir: Path | None) -> str:
    return f"`sagehound down --data-dir {data_dir}`" if data_dir else "`sagehound down`"
