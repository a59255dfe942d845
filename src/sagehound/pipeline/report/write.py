"""Write the report: read everything, draw it, and put one HTML file where it was asked for"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.names import Names
from sagehound.pipeline.report.contents import read_contents
from sagehound.pipeline.report.page import render_page
from sagehound.pipeline.report.summary import ReportSummary


def write_report(
    clients: Clients,
    names: Names,
    *,
    path: Path,
    data_uri: str,
    tuning_job: str | None,
    training_jobs: list[str],
    features_job: str | None = None,
    loads: Sequence[LoadResult] = (),
) -> ReportSummary:
    """Write the report of these jobs to ``path``: one HTML file that needs no network.

    ``data_uri`` is the prefix of the pictures (train/, valid/, test/ lie below it); ``training_jobs`` come in the
    order in which they are shown, the one of a single instance first; ``loads`` are drawn last. Raises StepFailed
    where AWS refuses, and OSError where the file cannot be written.
    """
    with aws_step("report"):
        contents = read_contents(
            clients,
            names,
            data_uri=data_uri,
            tuning_job=tuning_job,
            training_jobs=training_jobs,
            features_job=features_job,
            loads=loads,
        )
    _replace(path, render_page(contents))
    return ReportSummary(path, contents.rows, contents.findings, contents.function, contents.clock, contents.cost)


def _replace(path: Path, page: str) -> None:
    """Write the file whole or not at all: a browser that reloads never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
