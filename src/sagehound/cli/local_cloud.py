"""Commands around the local cloud: up, down, env, logs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sagehound.cli.local_process import running, start, stop
from sagehound.cli.options import DataDirOption, PortOption, TargetOption, connect, data_dir_of
from sagehound.cli.telling import telling
from sagehound.errors import StepFailed
from sagehound.settings import LocalCloudSettings, PipelineSettings

_DEFAULTS = LocalCloudSettings()


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; return once it answers.")
    ] = False,
    port: PortOption = _DEFAULTS.port,
    data_dir: DataDirOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = _DEFAULTS.host,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Permit an address other than loopback.")
    ] = False,
    region: Annotated[str, typer.Option(help="AWS region that the cloud plays.")] = _DEFAULTS.region,
    account_id: Annotated[str, typer.Option(help="AWS account that the cloud plays.")] = _DEFAULTS.account_id,
    speed: Annotated[float, typer.Option(help="How fast the cloud's clock runs.")] = _DEFAULTS.speed,
    durable: Annotated[bool, typer.Option("--durable", help="Flush every write to the disk.")] = False,
    other_hosts: Annotated[
        str, typer.Option(help="What its proxy does with hosts that are not AWS's: pass or refuse.")
    ] = _DEFAULTS.other_hosts,
) -> None:
    """Start the local cloud: an AWS endpoint on this machine that really executes what it is asked."""
    settings = LocalCloudSettings(
        data_dir=data_dir_of(data_dir),
        host=host,
        port=port,
        allow_remote=allow_remote,
        region=region,
        account_id=account_id,
        speed=speed,
        durable=durable,
        other_hosts=other_hosts,
    )
    if not detach:
        from sagehound.localcloud.server import serve

        raise typer.Exit(serve(settings))
    with telling():
        server = running(settings.data_dir)
        if server is not None:
            already = f"the local cloud is up already: {server.endpoint_url} (pid {server.pid})"
            typer.echo(already + (f", {server.clock}" if server.clock else ""))
            return
        server = start(settings)
        typer.echo(f"the local cloud is up: {server.endpoint_url} (pid {server.pid}, data in {settings.data_dir})")
        if server.clock:
            typer.echo(server.clock)
        there = "" if data_dir_of(None) == settings.data_dir else f" --data-dir {shlex.quote(str(settings.data_dir))}"
        typer.echo(f"programs and notebooks as they are:  sagehound exec{there} -- COMMAND")
        typer.echo(f'for other AWS clients:               eval "$(sagehound env{there})"')


def down(data_dir: DataDirOption = None) -> None:
    """Stop the local cloud; what it keeps stays in its data directory."""
    with telling():
        folder = data_dir_of(data_dir)
        server = running(folder)
        if server is None:
            typer.echo(f"no local cloud is running on {folder}")
            return
        after = _after_the_end(folder)
        stop(server)
        for line in (f"the local cloud is down (pid {server.pid})", *after):
            typer.echo(line)


def env(data_dir: DataDirOption = None) -> None:
    """Print the exports that point any AWS client at the local cloud: eval "$(sagehound env)"."""
    from sagehound.pipeline.clients import read_credentials

    with telling():
        folder = data_dir_of(data_dir)
        server = running(folder)
        if server is None:
            raise StepFailed("env", f"no local cloud is running on {folder}", "Start it with `sagehound up --detach`.")
        access_key, secret_key = read_credentials(folder / "credentials")
        region = region_of(folder)
        values = {
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
        }
        for name, value in values.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        # A session token left over from real AWS would be sent along and make the request a stranger's.
        typer.echo("unset AWS_SESSION_TOKEN AWS_PROFILE")


def logs(
    name: Annotated[str, typer.Argument(help="A training job, a tuning job, an endpoint or a function.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends (endpoints and functions: Ctrl-C).")
    ] = False,
    target: TargetOption = "local",
    data_dir: DataDirOption = None,
) -> None:
    """Show what a training job, a tuning job's trials, an endpoint or a function have written."""
    from sagehound.cli.log_lines import follow_logs

    with telling():
        clients = connect(target, PipelineSettings(), data_dir_of(data_dir))
        for line in follow_logs(clients, name, follow):
            typer.echo(line)


def _after_the_end(folder: Path) -> list[str]:
    """What `down` means for what runs: jobs outlive the server, model servers end with it and come back with it."""
    try:
        counts = status_counts(folder)
    except StepFailed as error:
        return [f"training jobs go on without it, if any run ({error.cause})"]
    lines = []
    if tuning := counts["tuning_jobs"].get("InProgress", 0):
        lines.append(f"{tuning} tuning jobs go on with the next `sagehound up`, with what their trials have found")
    if training := counts["training_jobs"].get("InProgress", 0):
        lines.append(f"{training} training jobs go on without it; the next `sagehound up` takes up with them")
    if serving := counts["endpoints"].get("InService", 0):
        what = "endpoint answers" if serving == 1 else "endpoints answer"
        lines.append(f"{serving} {what} again after the next `sagehound up`; `sagehound delete` deletes what is there")
    return lines


def status_counts(folder: Path) -> dict[str, dict[str, int]]:
    """Training jobs, tuning jobs, endpoints and functions by status, asked of the cloud itself."""
    from collections import Counter

    from sagehound.pipeline.aws_errors import aws_step
    from sagehound.pipeline.clients import connect_local

    counted = (
        ("training_jobs", "list_training_jobs", "TrainingJobSummaries", "TrainingJobStatus"),
        (
            "tuning_jobs",
            "list_hyper_parameter_tuning_jobs",
            "HyperParameterTuningJobSummaries",
            "HyperParameterTuningJobStatus",
        ),
        ("endpoints", "list_endpoints", "Endpoints", "EndpointStatus"),
    )
    with aws_step("status"):
        clients = connect_local(folder, region_of(folder))
        sagemaker, functions = clients.sagemaker, clients.lambda_
        names = [
            one["FunctionName"]
            for page in functions.get_paginator("list_functions").paginate()
            for one in page["Functions"]
        ]
        states = Counter(functions.get_function_configuration(FunctionName=name)["State"] for name in names)
        counts = {
            kind: dict(
                Counter(
                    entry[status] for page in sagemaker.get_paginator(operation).paginate() for entry in page[member]
                )
            )
            for kind, operation, member, status in counted
        }
    return counts | {"functions": dict(states)}


def region_of(folder: Path) -> str:
    """The region that the cloud wrote beside its root keys."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    parser.read(folder / "credentials")
    return parser.get("default", "region", fallback=_DEFAULTS.region)


def count_words(counts: dict[str, int]) -> str:
    """2 Completed, 1 Failed; none."""
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none"


def duration(seconds: float) -> str:
    """As in 2 h 5 min."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
