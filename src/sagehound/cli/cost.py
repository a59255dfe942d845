"""The command cost: what the project's runs have used, what AWS asks for it, and what goes on costing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from sagehound.cli.opening import opened
from sagehound.cli.options import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    SetOption,
    TargetOption,
)


def cost(
    prices: Annotated[
        str,
        typer.Option(help="table (in the package), aws (AWS's Price List, now), or an offer file.", metavar="SOURCE"),
    ] = "table",
    since: Annotated[
        datetime | None,
        typer.Option(help="Only what was used, and jobs that were made, from then on (UTC): 2026-11-23T08:00:00."),
    ] = None,
    run: Annotated[str, typer.Option(help="Only what the run of this name made (default: all of the project).")] = "",
    config: ConfigOption = None,
    overrides: SetOption = None,
    target: TargetOption = "local",
    profile: ProfileOption = "",
    region: RegionOption = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """What training, tuning, endpoints, functions, notebooks, instances and storage of the project cost, as AWS bills
    it; what is there now with what an hour and a month of it cost; EC2 against SageMaker; other instance types.

    In the local cloud nothing is charged: the table says what AWS would ask.
    """
    from sagehound.pipeline.cost import step as step_module
    from sagehound.pipeline.cost.summarising import chosen

    with (
        opened(config, overrides, target, data_dir, as_json, tells_clock=False, profile=profile, region=region) as here,
        here.reporter.step("cost") as step,
    ):
        given = chosen(prices, here.settings.region, here.settings.profile)
        moment = since.replace(tzinfo=UTC) if since and since.tzinfo is None else since
        step_module.cost(here.clients, here.names, step, prices=given, since=moment, run=run)
