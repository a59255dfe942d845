"""The command seed: files under the public names that scripts know them by."""

from __future__ import annotations

from typing import Annotated

import typer

from sagehound.cli.local_cloud import region_of
from sagehound.cli.local_process import running
from sagehound.cli.options import DataDirOption, JsonOption, data_dir_of
from sagehound.cli.telling import telling
from sagehound.errors import StepFailed


def seed(
    seeds: Annotated[
        list[str],
        typer.Argument(
            help="A file, or a folder below a prefix. In place of BUCKET/KEY its usual https://... address may stand.",
            metavar="BUCKET/KEY=PATH...",
        ),
    ],
    region: Annotated[
        str,
        typer.Option(
            "--region", help="Region of a new bucket (default: what its usual address implies).", metavar="REGION"
        ),
    ] = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put files into the local cloud under the public name that scripts fetch them by; anybody may read them."""
    from sagehound.pipeline.clients import connect_local
    from sagehound.pipeline.seed import parse
    from sagehound.pipeline.seed import seed as put

    with telling(as_json) as reporter:
        folder = data_dir_of(data_dir)
        parsed = [parse(text) for text in seeds]
        if running(folder) is None:
            raise StepFailed("seed", f"no local cloud is running on {folder}", "Start it with `sagehound up --detach`.")
        usual = region_of(folder)
        with reporter.step("seed") as step:
            put(lambda where: connect_local(folder, where), parsed, reporter, step, region=region, usual=usual)
