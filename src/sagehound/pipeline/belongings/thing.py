"""One thing that a project made: its kind, its name, the run that made it, what it needs, and what it costs by time"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sagehound.pipeline.names import PROJECT_TAG, RUN_TAG, Names
from sagehound.pipeline.pricing.prices import Use


class Kind(StrEnum):
    """The kinds of things, in the order of their removal; the words are those in front of a name."""

    SCALING = "scaling of"
    TUNING_JOB = "tuning job"
    TRAINING_JOB = "training job"
    INSTANCE = "instance"
    NOTEBOOK = "notebook instance"
    FUNCTION = "function"
    ENDPOINT = "endpoint"
    LOG_GROUP = "log group"
    ENDPOINT_CONFIG = "endpoint configuration"
    MODEL = "model"
    LIFECYCLE_CONFIG = "lifecycle configuration"
    SURROUNDINGS = "role, instance profile and security group"
    OUTPUT = "output of job"
    """Artefacts and checkpoints; a thing of its own where one run is looked at, otherwise they go with the bucket."""
    DATA = "data set"
    OBJECTS = "this project's objects in bucket"
    BUCKET = "bucket"
    POLICY = "this project's policy on role"
    ROLE = "role"


Key = tuple[Kind, str]


@dataclass(frozen=True)
class Billed:
    """What of a thing is billed for as long as it is there."""

    use: Use
    item: str
    count: int


@dataclass(frozen=True)
class Thing:
    """A resource (or a group of them that goes together) that carries the tag of a project."""

    kind: Kind
    name: str
    project: str
    run: str = ""
    """The run that made it; empty where nobody knows."""
    detail: str = ""
    needs: frozenset[Key] = frozenset()
    """What must not go before it does."""
    parts: tuple[str, ...] = ()
    """Names inside of it that its removal is about: the policies of a role, the prefixes of an output."""
    billed: Billed | None = None

    @property
    def key(self) -> Key:
        """What tells it from every other thing."""
        return self.kind, self.name

    def line(self) -> str:
        """As a person reads it."""
        return f"{self.kind} {self.name}" + (f" ({self.detail})" if self.detail else "")

    def deletion(self) -> str:
        """The same of its deletion: a job is only stopped, and is told of for good."""
        jobs = (Kind.TUNING_JOB, Kind.TRAINING_JOB)
        return f"{self.kind} {self.name} (stopped)" if self.kind in jobs else self.line()

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "kind": str(self.kind),
            "name": self.name,
            "project": self.project,
            "run": self.run,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Scope:
    """Whose things are looked for: those of one project, or of every project of the account and region."""

    names: Names
    everywhere: bool = False
    outputs: bool = False
    """Whether what jobs have written counts as a thing of each job's run."""

    @property
    def prefix(self) -> str:
        """What names of the scope begin with, where they are made from the project's."""
        return "" if self.everywhere else f"{self.names.project}-"

    def owner(self, tags: Iterable[Mapping[str, str]] | Mapping[str, str]) -> tuple[str, str] | None:
        """(project, run) of what carries these tags; None for what is out of the scope."""
        found = tags if isinstance(tags, Mapping) else {tag["Key"]: tag["Value"] for tag in tags}
        project = found.get(PROJECT_TAG)
        if project is None or (project != self.names.project and not self.everywhere):
            return None
        return str(project), str(found.get(RUN_TAG, ""))


def counted(count: int) -> str:
    """1 thing, 2 things."""
    return f"{count:,} thing{'' if count == 1 else 's'}"
