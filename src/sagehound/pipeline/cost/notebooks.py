"""Notebook instances of a project, as usage: the times in which they ran, and their volumes also while they did not"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import exact_seconds, volume, whole
from sagehound.pipeline.cost.history import Call, History
from sagehound.pipeline.cost.timeline import Period, after, runs, span_words
from sagehound.pipeline.cost.usage import Running, Usage, Usages, carries, carries_event, total
from sagehound.pipeline.names import Names
from sagehound.pipeline.notebook import notebook_name
from sagehound.pipeline.pricing.prices import Use

_UP = ("InService", "Pending", "Stopping")
_DEFAULT_GB = 5
_SAME = timedelta(seconds=60)
_LOGS = "/aws/sagemaker/NotebookInstances"
_NO_LOG = ("ResourceNotFoundException", "AccessDeniedException")
_QUIET = timedelta(hours=1)


def notebook_usages(clients: Clients, names: Names, history: History, since: datetime | None, now: datetime) -> Usages:
    """The project's notebook instances, and those that are deleted as far as CloudTrail says what they were."""
    found = Usages()
    there: dict[str, datetime] = {}
    for notebook in _tagged(clients, names):
        there[notebook["NotebookInstanceName"]] = notebook["CreationTime"]
        found.add(_of_notebook(clients, notebook, history, since, now))
    for made in history.all_of("CreateNotebookInstance"):
        found.add(_deleted(names, history, made, there, since, now))
    return found


def _deleted(
    names: Names, history: History, made: Call, there: Mapping[str, datetime], since: datetime | None, now: datetime
) -> Usages:
    """A notebook instance that is gone, by the event of its creation: where that has no parameters it is only told."""
    found = Usages()
    name = str(made.request.get("notebookInstanceName") or next(iter({notebook_name(names)} & made.names), ""))
    tags = made.request.get("tags")
    if not name or (tags is not None and not carries_event(tags, names)):
        return found
    if name in there and made.moment >= there[name] - _SAME:
        return found  # the one that is there now; one of the same name may have gone before it
    gone = next((one for one in history.of(name, "DeleteNotebookInstance") if one.moment >= made.moment), None)
    instance_type = made.request.get("instanceType")
    if gone is not None and since is not None and gone.moment <= since:
        return found
    if gone is None or instance_type is None:
        until = f", deleted at {gone.moment:%Y-%m-%d %H:%M}" if gone else ", gone, nobody says when"
        found.not_counted.append(f"notebook {name}{until}: CloudTrail does not say of which type it was")
        return found
    spans = after(_ran(history, name, made.moment, gone.moment), since)
    found.entries += _entries(name, str(instance_type), spans, now, ", deleted")
    size = int(made.request.get("volumeSizeInGB", _DEFAULT_GB))
    kept = total(span.seconds(now) for span in after([Period(made.moment, gone.moment, 1)], since))
    if kept:
        what = f"{name}, volume of {size} GB, deleted"
        found.entries.append(Usage("notebook", what, Use.NOTEBOOK_STORAGE, "", volume(size, kept), kept, 1, name))
    return found


def _idle(clients: Clients, name: str, now: datetime) -> str:
    """That nothing was written into a notebook instance's log for a while; empty where nobody can tell."""
    asked = {"logGroupName": _LOGS, "logStreamNamePrefix": f"{name}/"}
    told = answer_unless(partial(clients.logs.describe_log_streams, **asked), *_NO_LOG) or {"logStreams": []}
    last = max((one.get("lastEventTimestamp", 0) for one in told["logStreams"]), default=0)
    quiet = now - datetime.fromtimestamp(last / 1000, UTC)
    return f"nothing in its log for {span_words(quiet)}" if last and quiet >= _QUIET else ""


def _of_notebook(
    clients: Clients, notebook: dict[str, Any], history: History, since: datetime | None, now: datetime
) -> Usages:
    name, instance_type = notebook["NotebookInstanceName"], notebook["InstanceType"]
    made, status = notebook["CreationTime"], notebook["NotebookInstanceStatus"]
    up = status in _UP
    spans = _ran(history, name, made, None)
    if not up and spans and spans[-1].end is None:
        # It stopped, and CloudTrail does not say when: that was its last change.
        spans[-1] = Period(spans[-1].begin, notebook["LastModifiedTime"], 1)
    spans = after(spans, since)
    found = Usages(list(_entries(name, instance_type, spans, now)))
    size = int(notebook.get("VolumeSizeInGB", _DEFAULT_GB))
    kept = exact_seconds(now - max(made, since or made))
    what = f"{name}, volume of {size} GB"
    found.entries.append(Usage("notebook", what, Use.NOTEBOOK_STORAGE, "", volume(size, kept), kept, 1, name))
    found.running.append(Running(f"notebook {what}", Use.NOTEBOOK_STORAGE, "", Decimal(size), made, resource=name))
    if up:
        begin = spans[-1].begin if spans else made
        idle = _idle(clients, name, now)
        found.running.append(
            Running(f"notebook {name}", Use.NOTEBOOK, instance_type, Decimal(1), begin, idle, resource=name)
        )
    return found


def _ran(history: History, name: str, made: datetime, end: datetime | None) -> list[Period]:
    def moments(operation: str) -> Iterator[datetime]:
        """Not those of one of the same name that was there before or came after."""
        of = history.of(name, operation)
        return (one.moment for one in of if made < one.moment and (end is None or one.moment <= end))

    starts, stops = [made, *moments("StartNotebookInstance")], list(moments("StopNotebookInstance"))
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
            name, arn = summary["NotebookInstanceName"], summary["NotebookInstanceArn"]
            # One that was deleted since the list was made has neither tags nor a description any more.
            told = answer_unless(partial(sagemaker.list_tags, ResourceArn=arn), "ValidationException")
            if told is None or not carries(told["Tags"], names):
                continue
            describe = partial(sagemaker.describe_notebook_instance, NotebookInstanceName=name)
            if (found := answer_unless(describe, "ValidationException")) is not None:
                yield found
