"""The commands for the whole walk and what it leaves on paper: run and report."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagehound.cli.cleanup import tell_what_exists
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
    PlanOption,
    PortOption,
    ProfileOption,
    RegionOption,
    SetOption,
    SkipOption,
    SpotOption,
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
    from sagehound.pipeline.clients import Clients
    from sagehound.pipeline.progress import Reporter

REPORT = Path("sagehound-report.html")
_PORT = LocalCloudSettings().port
# A failure from here on leaves something in the cloud that is worth looking at.
_WORTH_KEEPING = (
    *("features", "tune", "train", "instance", "deploy", "invoke", "function", "secure", "denial"),
    *("scale", "load", "report", "cost", "delete"),
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
    scale_demo: Annotated[
        bool | None,
        typer.Option(
            "--scale-demo/--no-scale-demo",
            help="Show scaling under a load (default: in a local cloud that is started for this walk and not kept).",
        ),
    ] = None,
    instance: Annotated[
        bool | None,
        typer.Option(
            "--instance/--no-instance",
            help="Train on an EC2 instance too (default: in a local cloud that is started for this walk and not kept).",
        ),
    ] = None,
    spot: SpotOption = False,
    plan: PlanOption = False,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    port: PortOption = _PORT,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """The whole walk: check, upload, tune, train on one and on several instances and on EC2, deploy, ask, put a
    function in front, look at permissions, let both scale, report, tell the cost.

    Without --data it is about the packaged Fashion-MNIST sample. Where no local cloud is running, one is started
    for the walk; then everything is deleted and the cloud is stopped at the end, unless --keep. In a cloud that was
    there before, and on AWS, the endpoints stay.
    """
    from sagehound.pipeline import run as walk

    if plan:
        given = {"skip_unreadable": skip_unreadable, "duplicates": duplicates, "spot": spot}
        with opened(
            config,
            overrides,
            target,
            data_dir,
            as_json,
            verbose,
            given=given,
            plan=True,
            profile=profile,
            region=region,
        ) as here:
            options = walk.Options(mirror=mirror, again=again, anyway=anyway, instance=bool(instance))
            source = data or sample_pictures()
            walk.run(here.clients, here.settings, source, cache_directory(), here.reporter, options)
        return
    with telling(as_json, verbose) as reporter, reporter.step("run") as whole:
        settings = load(
            config,
            overrides,
            skip_unreadable=skip_unreadable,
            duplicates=duplicates,
            spot=spot,
            profile=profile,
            region=region,
        )
        folder = data_dir_of(data_dir)
        own = _Own.started(target, folder, port, settings, reporter)
        temporary = own is not None and not keep
        faster = own.faster if own is not None and (temporary or scale_demo) else None
        clients = None
        try:
            clients = connect(target, settings, folder)
            if clients.clock.fast:
                reporter.note(clients.clock.sentence(), speed=clients.clock.speed)
            walk.run(
                clients,
                settings,
                data or sample_pictures(),
                cache_directory(),
                reporter,
                walk.Options(
                    mirror=mirror,
                    again=again,
                    anyway=anyway,
                    instance=temporary if instance is None else instance,
                    delete=temporary,
                    report=report,
                    scale_demo=scale_demo,
                    faster=faster,
                ),
            )
        except (StepFailed, KeyboardInterrupt) as error:
            stopped = isinstance(error, Interrupted | KeyboardInterrupt)
            if own is not None and (stopped or (isinstance(error, StepFailed) and error.step in _WORTH_KEEPING)):
                reporter.note(f"{own.goes_on()}; stop it with {_down(data_dir)}")
            elif own is not None:
                stop(own.server)
                raise
            if clients is not None:
                where = {"target": target, "profile": profile, "region": region, "data_dir": data_dir}
                tell_what_exists(reporter, clients, settings, config=config, set=overrides, **where)
            raise
        if temporary and own is not None:
            stop(own.server)
        elif own is not None:
            reporter.note(f"{own.goes_on()}; stop it with {_down(data_dir)}", speed=own.server.speed)
        elif target == "aws":
            reporter.note(
                "the endpoints and the environments that are kept ready cost money while they are there, and more "
                "when they scale; "
                "`sagehound delete --target aws` removes everything"
            )
        whole.done("all of it")


def report(
    path: Annotated[Path, typer.Argument(help="Where it goes.")] = REPORT,
    loads: Annotated[
        list[Path] | None,
        typer.Option("--load", help="Draw this result of `sagehound load` too; repeatable.", metavar="FILE"),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of the project's last tuning and trainings: one HTML file, and a table here."""
    from sagehound.pipeline import reporting
    from sagehound.pipeline.load.result import LoadResult

    with (
        opened(config, overrides, target, data_dir, as_json, tells_clock=False, profile=profile, region=region) as here,
        here.reporter.step("report") as step,
    ):
        results = [LoadResult.read(file, "report") for file in loads or []]
        jobs = dataclasses.replace(reporting.latest_jobs(here.clients, here.names), loads=results)
        reporting.report(here.clients, here.names, jobs, path, step)


@dataclass
class _Own:
    """The local cloud that was started for this walk."""

    settings: LocalCloudSettings
    pipeline: PipelineSettings
    server: Server

    @classmethod
    def started(
        cls, target: str, folder: Path, port: int, settings: PipelineSettings, reporter: Reporter
    ) -> _Own | None:
        """Start one; None where one runs, or none is wanted."""
        if target != "local" or running(folder) is not None:
            return None
        cloud = LocalCloudSettings(data_dir=folder, port=port, region=settings.region)
        with reporter.step("up") as step:
            server = start(cloud)
            step.done(f"{server.endpoint_url}  the local cloud", endpoint_url=server.endpoint_url)
        return cls(cloud, settings, server)

    def faster(self, speed: float) -> Clients:
        """Start it anew with another clock, at the same address: endpoints were told that one when they were made."""
        cloud = dataclasses.replace(self.settings, port=self.server.port, speed=speed)
        stop(self.server)
        self.server = start(cloud)
        return connect("local", self.pipeline, cloud.data_dir)

    def goes_on(self) -> str:
        """That it does, where, and with which clock if that is not the real one."""
        there = f"the local cloud goes on at {self.server.endpoint_url} (pid {self.server.pid})"
        return there + (f", {self.server.clock}" if self.server.clock else "")


def _down(data_dir: Path | None) -> str:
    return f"`sagehound down --data-dir {data_dir}`" if data_dir else "`sagehound down`"
