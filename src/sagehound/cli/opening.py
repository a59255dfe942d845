"""How a command of the pipeline begins: settings, a connection, the project's names, and somebody to tell it all to."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sagehound.cli.options import connect, data_dir_of, load
from sagehound.cli.telling import telling
from sagehound.errors import StepFailed
from sagehound.settings import PipelineSettings

if TYPE_CHECKING:
    from sagehound.pipeline.clients import Clients
    from sagehound.pipeline.names import Names
    from sagehound.pipeline.progress import Reporter


@dataclass
class Opened:
    """What a command works with."""

    reporter: Reporter
    settings: PipelineSettings
    clients: Clients

    @cached_property
    def names(self) -> Names:
        """The project's names in the account that the keys belong to."""
        from sagehound.pipeline.names import Names

        return Names.of(self.settings, self.clients.account_id)


@contextmanager
def opened(
    config: Path | None,
    overrides: list[str] | None,
    target: str,
    data_dir: Path | None,
    as_json: bool,
    verbose: bool = False,
    *,
    given: Mapping[str, object] | None = None,
    tells_clock: bool = True,
    plan: bool = False,
    profile: str = "",
    region: str = "",
) -> Iterator[Opened]:
    """Read the settings, connect, and tell errors in three lines; ``given`` are options that are short for settings.

    With ``plan`` nothing that writes gets through: what the block would have done is printed at its end.

    That a local cloud's clock is fast is said first, unless the step says so itself (``tells_clock``).
    """
    with telling(as_json, verbose) as reporter:
        settings = load(config, overrides, profile=profile, region=region, **(given or {}))
        clients = connect(target, settings, data_dir_of(data_dir))
        if plan:
            yield from _planned(settings, clients, as_json)
            return
        if clients.clock.fast and tells_clock:
            reporter.note(clients.clock.sentence(), speed=clients.clock.speed)
        yield Opened(reporter, settings, clients)


def _planned(settings: PipelineSettings, clients: Clients, as_json: bool) -> Iterator[Opened]:
    """The same on a planned world; the plan is printed also where the walk through it comes to an end early."""
    from sagehound.pipeline.plan import Plan, QuietReporter
    from sagehound.pipeline.progress import JsonReporter

    plan = Plan.begin(clients)
    here = Opened(QuietReporter(plan), settings, clients)

    def show() -> None:
        if as_json:
            JsonReporter(sys.stdout).emit("plan", **plan.as_dict(here.names, settings))
        else:
            plan.write(sys.stdout, here.names, settings)

    try:
        yield here
    except StepFailed:
        show()
        raise
    show()
