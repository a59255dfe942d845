"""Notebook instances of a project, as usage: the times in which they ran, and their volumes also while they did not"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import exact_seconds, volume, whole
from sagehound.pipeline.cost.history import History
from sagehound.pipeline.cost.timeline import Period, after, runs
from sagehound.pipeline.cost.usage import Running, Usage, Usages, carries
from sagehound.pipeline.names import PROJECT_TAG, Names
from sagehound.pipeline.pricing.prices import Use

_UP = ("InService", "Pending", "Updating", "Stopping")


def notebook_usages(clients: Clients, names: Names, history: History, since: datetime | None, now: datetime) -> Usages:
    """The project's notebook instances, and those that are deleted as far as CloudTrail says what they were."""
    found = Usages()
    there = set()
    for notebook in _tagged(clients, names):
        there.add(notebook["NotebookInstanceName"])
        found.add(_of_notebook(notebook, history, since, now))
    for made in history.all_of("CreateNotebookInstance"):
        tags = made.request.get("tags") or []
        name = str(made.request.get("notebookInstanceName", ""))
        if name in there or not any(
            one.get("key") == PROJECT_TAG and one.get("value") == names.project for one in tags
        ):
            continue
        gone = next((one for one in history.of(name, "DeleteNotebookInstance") if one.moment >= made.moment), None)
        if gone is None:
            continue
        spans = after(_ran(history, name, made.moment, gone.moment), since)
        found.entries += _entries(name, str(made.request["instanceType"]), spans, now, ", deleted")
    return found


def _of_notebook(notebook: dict[str, Any], history: History, since: datetime | None, now: datetime) -> Usages:
    name, instance_type = notebook["NotebookInstanceName"], notebook["InstanceType"]
    made, status = notebook["CreationTime"], notebook["NotebookInstanceStatus"]
    up = status in _UP
    spans = _ran(history, name, made, None)
    if not up and spans and spans[-1].end is None:
        # It stopped, and CloudTrail does not say when: that was its last change.
        spans[-1] = Period(spans[-1].begin, notebook["LastModifiedTime"], 1)
    spans = after(spans, since)
    found = Usages(list(_entries(name, instance_type, spans, now)))
    size = int(notebook.get("VolumeSizeInGB", 5))
    kept = exact_seconds(now - max(made, since or made))
    what = f"{name}, volume of {size} GB"
    found.entries.append(Usage("notebook", what, Use.NOTEBOOK_STORAGE, "", volume(size, kept), kept, 1, name))
    found.running.append(Running(f"notebook {what}", Use.NOTEBOOK_STORAGE, "", Decimal(size), made, resource=name))
    if up:
        begin = spans[-1].begin if spans else made
        found.running.append(Running(f"notebook {name}", Use.NOTEBOOK, instance_type, Decimal(1), begin, resource=name))
    return found


def _ran(history: History, name: str, made: datetime, end: datetime | None) -> list[Period]:
    starts = [made, *(call.moment for call in history.of(name, "StartNotebookInstance") if call.moment > made)]
    stops = [call.moment for call in history.of(name, "StopNotebookInstance") if call.moment > made]
    return runs(starts, stops, end)


def _entries(name: str, instance_type: str, spans: list[Period], now: datetime, ended: str = "") -> Iterator[Usage]:
    seconds = sum((span.seconds(now) for span in spans), Decimal(0))
    if seconds:
        what = f"{name}, {instance_type}{ended}"
        yield Usage("notebook", what, Use.NOTEBOOK, instance_type, whole(seconds), seconds, 1, name)


def _tagged(clients: Clients, names: Names) -> Iterator[dict[str, Any]]:
    sagemaker = clients.sagemaker
    for page in sagemaker.get_paginator("list_notebook_instances").paginate():
        for summary in page["NotebookInstances"]:
            if carries(sagemaker.list_tags(ResourceArn=summary["NotebookInstanceArn"])["Tags"], names):
                yield sagemaker.describe_notebook_instance(NotebookInstanceName=summary["NotebookInstanceName"])
