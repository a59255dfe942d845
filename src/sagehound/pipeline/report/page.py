"""The page: the contents of a report drawn and put into its templates, with style and script inside"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sagehound.pipeline.cost.bill import dollars
from sagehound.pipeline.report import words
from sagehound.pipeline.report.chance import chance_level
from sagehound.pipeline.report.charts.curves import draw_curves, stride, values_range
from sagehound.pipeline.report.charts.heatmap import draw_confusion, least_drawn
from sagehound.pipeline.report.charts.reliability import draw_reliability
from sagehound.pipeline.report.charts.scales import short
from sagehound.pipeline.report.contents import Contents, Detail
from sagehound.pipeline.report.curves import Panel
from sagehound.pipeline.report.documents import ClassFigures
from sagehound.pipeline.report.jobs import JobReport
from sagehound.pipeline.report.load import DrawnLoad, drawn_load
from sagehound.pipeline.report.search_charts import SearchCharts, draw_search

_MOST_CLASSES = 400
"""Beyond so many classes a confusion matrix is no picture any more: the list of pairs says it."""


@dataclass(frozen=True)
class DrawnPanel:
    """A chart of curves, and the table that says the same."""

    title: str
    chart: Markup
    x_title: str
    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Charts:
    """Everything of a report that is drawn."""

    panels: dict[str, list[DrawnPanel]]
    search: SearchCharts | None
    confusion: Markup | None
    confusion_least: int
    """Mistakes that happened less often are not drawn."""
    reliability: Markup | None
    loads: list[DrawnLoad]


def render_page(contents: Contents) -> str:
    """The whole HTML page. Every text from outside is escaped by the templates or by the charts."""
    script, style = _asset("report.js"), _asset("report.css")
    detail = contents.detail
    return (
        _environment()
        .get_template("page.html")
        .render(
            contents=contents,
            detail=detail,
            charts=_charts(contents),
            classes_by_recall=_by_recall(detail),
            script=Markup(script),
            style=Markup(style),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sagehound.pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "percent": words.percent,
        "odds": words.odds,
        "figure": words.figure,
        "seconds": words.seconds,
        "moment": words.moment,
        "plural": words.plural,
        "short": short,
        "dollars": dollars,
    }
    environment.filters.update(filters)
    return environment


def _asset(name: str) -> str:
    return files("sagehound.pipeline.report").joinpath("templates", name).read_text(encoding="utf-8")


def _charts(contents: Contents) -> Charts:
    detail = contents.detail
    figures = detail.figures if detail else None
    confusion = reliability = None
    least = 1
    if detail is not None and figures is not None:
        if 0 < len(figures.confusion) <= _MOST_CLASSES:
            least = least_drawn(figures.confusion)
            confusion = draw_confusion(figures.confusion, detail.names, detail.full_names, least)
        if any(entry.pictures for entry in figures.bins):
            reliability = draw_reliability(figures.bins, figures.ece)
    return Charts(
        panels=_draw_panels(contents),
        search=draw_search(contents.tuning, contents.classes) if contents.tuning and contents.tuning.trials else None,
        confusion=confusion,
        confusion_least=least,
        reliability=reliability,
        loads=[drawn_load(result) for result in contents.loads],
    )


def _draw_panels(contents: Contents) -> dict[str, list[DrawnPanel]]:
    """The curves of all jobs; those of one kind share their scale, so that two jobs can be compared by eye."""
    together: dict[tuple[str, bool], list[float]] = {}
    for panels in contents.panels.values():
        for panel in panels:
            values = [y for curve in panel.curves for _, y in curve.points if math.isfinite(y)]
            together.setdefault((panel.title, panel.percent), []).extend(values)
    return {
        job.name: [
            _drawn(panel, together[panel.title, panel.percent], job, contents.classes)
            for panel in contents.panels[job.name]
        ]
        for job in contents.jobs
    }


def _drawn(panel: Panel, values: list[float], job: JobReport, classes: int) -> DrawnPanel:
    chart = draw_curves(
        panel.title,
        panel.curves,
        panel.x_title,
        values_range(values, percent=panel.percent) if values else None,
        percent=panel.percent,
        chance=chance_level(panel.title, classes),
        mark=_network_begins(job) if panel.x_title == "epoch" else None,
    )
    xs = sorted({x for curve in panel.curves for x, _ in curve.points})
    shown = xs[:: stride(len(xs))]
    columns = [dict(curve.points) for curve in panel.curves]
    written = words.percent if panel.percent else words.figure
    rows = [[short(x), *(written(column.get(x)) for column in columns)] for x in shown]
    return DrawnPanel(panel.title, chart, panel.x_title, [curve.name for curve in panel.curves], rows)


def _network_begins(job: JobReport) -> tuple[float, str] | None:
    """Where fine-tuning of the whole network begins, after the epochs of the head."""
    hyperparameters = job.output.metrics.hyperparameters if job.output.metrics else {}
    if hyperparameters.get("gear") != "network":
        return None
    epochs = hyperparameters.get("head_epochs")
    return (epochs + 0.5, "whole network") if isinstance(epochs, int) else None


def _by_recall(detail: Detail | None) -> list[tuple[str, ClassFigures, str]]:
    """(readable name, figures, readable name of what it is most often taken for), the weakest class first."""
    if detail is None or detail.figures is None:
        return []
    names = dict(zip(detail.full_names, detail.names, strict=True))
    rows = [(names[row.name], row, names.get(row.confused_with, row.confused_with)) for row in detail.figures.per_class]
    return sorted(rows, key=lambda row: (row[1].recall is None, row[1].recall or 0.0, -row[1].pictures, row[0]))
