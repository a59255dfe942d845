"""From the resources of one run to those of the next: objects to folders, jobs to the project's, streams to groups."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable

from sagehound.pipeline.secure import catalogue

_PASSING = ("training-job", "hyper-parameter-tuning-job", "processing-job", "transform-job", "model", "endpoint-config")
"""Kinds of SageMaker resources that a run makes under a new name each time (an endpoint keeps its own)."""
_TIME = re.compile(r"^(.+?)-\d{4}-\d\d-\d\d(?:-\d+)*$|^(.+?)-[0-9a-f]{8,}(?:-\d+)?$")


def generalise(action: str, resources: Iterable[str], project: str) -> set[str]:
    """Patterns of resources that take in the next run's as well; "*" for an action that takes no resource."""
    if not catalogue.takes_resource(action):
        return {"*"}
    objects: dict[str, set[str]] = defaultdict(set)
    found = set()
    for resource in resources:
        bucket, slash, key = _s3(resource)
        if slash:
            objects[bucket].add(key)
        else:
            found.add(_log_group(resource) or _passing(resource, project) or resource)
    for bucket, keys in objects.items():
        found |= {f"{bucket}/{folder}" for folder in _folders(keys, project)}
    return found


def _s3(resource: str) -> tuple[str, str, str]:
    """(bucket's ARN, "/", key) of an object's ARN; without the slash it is none."""
    return resource.partition("/") if ":s3:::" in resource else (resource, "", "")


def _folders(keys: set[str], project: str) -> set[str]:
    """The project's own folder for what lies in it; otherwise one object alone, or the deepest folder in common."""
    found = {f"{project}/*" for key in keys if key.startswith(f"{project}/")}
    others = {key for key in keys if not key.startswith(f"{project}/")}
    if len(others) == 1 and "*" not in next(iter(others)):
        return found | others
    by_top: dict[str, set[str]] = defaultdict(set)
    for key in others:
        by_top[key.partition("/")[0] if "/" in key else ""].add(key)
    for top, below in by_top.items():
        found |= {f"{_common(below)}/*"} if top else below
    return found


def _common(keys: set[str]) -> str:
    return posixpath.commonpath([posixpath.dirname(key.partition("*")[0]) for key in keys])


def _log_group(resource: str) -> str | None:
    """The group of a log stream with all its streams."""
    group, streams, _ = resource.partition(":log-stream:")
    return f"{group}:*" if streams and ":logs:" in resource else None


def _passing(resource: str, project: str) -> str | None:
    """PROJECT-* for a job of the project, the name without its time or digest for somebody else's."""
    head, slash, name = resource.partition("/")
    if not slash or ":sagemaker:" not in head or head.rpartition(":")[2] not in _PASSING:
        return None
    if name.startswith(f"{project}-"):
        return f"{head}/{project}-*"
    dated = _TIME.match(name)
    return f"{head}/{dated[1] or dated[2]}-*" if dated else None
