"""Clean-up: everything that a project or one of its runs made, found by its tag in AWS itself, and deleted.

What carries another tag or none is left alone, also where its name fits. Training jobs cannot be deleted on
AWS: those that run are stopped, the others stay in the history without their artefacts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.belongings.finding import find
from sagehound.pipeline.belongings.jobs import has_run, history
from sagehound.pipeline.belongings.removing import STAGES, Act, Removal
from sagehound.pipeline.belongings.thing import Key, Kind, Scope, Thing, counted
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Step
from sagehound.pipeline.scaling_permissions import scaling_step
from sagehound.pipeline.waiting import interrupted

HISTORY = "training and tuning jobs stay in SageMaker's history: nobody can delete them, and they cost nothing"
_SHARED = (Kind.BUCKET, Kind.ROLE)
_NOTEBOOK = (Kind.NOTEBOOK, Kind.LIFECYCLE_CONFIG)


@dataclass(frozen=True)
class Left:
    """Something that could not be deleted."""

    thing: Thing
    why: str
    hint: str

    def line(self) -> str:
        """As a person reads it."""
        return f"{self.thing.line()}: {self.why}"

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {**self.thing.as_dict(), "why": self.why, "hint": self.hint}


@dataclass
class Belongings:
    """What a clean-up deletes, in its order, and what it leaves alone."""

    things: list[Thing] = field(default_factory=list)
    stays: list[Left] = field(default_factory=list)
    """What the run made too, and another run needs."""
    unseen: list[str] = field(default_factory=list)
    """What could not be looked at."""
    history: bool = False
    """Whether jobs of the project stay in AWS's history."""

    def lines(self) -> list[str]:
        """One line per thing that would be deleted."""
        return [thing.deletion() for thing in self.things]

    def names(self, kind: Kind) -> list[str]:
        """The names of the things of one kind."""
        return [thing.name for thing in self.things if thing.kind is kind]

    def notes(self) -> list[str]:
        """What a person should know beside the list."""
        notes = [f"stays: {one.line()}" for one in self.stays]
        notes += [f"not looked at: {one}" for one in self.unseen]
        return [*notes, HISTORY] if self.history else notes


class ThingsLeft(StepFailed):
    """A clean-up that could not delete all; the rest of it was done."""

    def __init__(self, deleted: Sequence[str], left: Sequence[Left]) -> None:
        what = "\n".join(one.line() for one in left)
        hints = list(dict.fromkeys(one.hint for one in left if one.hint))
        super().__init__(
            "delete",
            f"{counted(len(deleted))} deleted, {len(left):,} left\n{what}",
            " ".join([*hints, "`sagehound delete` again goes on from here."]),
        )
        self.deleted = list(deleted)
        self.left = list(left)

    def as_dict(self) -> dict[str, Any]:
        """For machines: with what was deleted and what is left."""
        return {**super().as_dict(), "deleted": self.deleted, "left": [one.as_dict() for one in self.left]}


def find_belongings(
    clients: Clients, names: Names, *, run: str = "", everywhere: bool = False, notebook: bool = True
) -> Belongings:
    """What clean-up would delete: all of the project, or what one ``run`` made, or ``everywhere`` of every project.

    Without ``notebook`` the notebook instance stays, with what it needs: a clean-up that is one of its cells runs on
    it. Raises StepFailed for a run that nothing is known of.
    """
    scope = Scope(names, everywhere=everywhere, outputs=bool(run))
    with aws_step("delete"):
        found = find(clients, scope)
        belongings = Belongings(found.things, unseen=found.unseen, history=history(clients, scope))
        if run:
            made = [thing for thing in found.things if thing.run == run]
            belongings.stays = list(_kept(made, [one for one in found.things if one.run != run], found.unseen))
            staying = {one.thing.key for one in belongings.stays}
            belongings.things = [one for one in made if one.key not in staying and one.kind is not Kind.DATA]
            if not made and not has_run(clients, scope, run):
                raise _unknown(run, names, found.things)
    if not notebook:
        needed = {key for thing in found.things if thing.kind is Kind.NOTEBOOK for key in thing.needs}
        belongings.things = [one for one in belongings.things if one.kind not in _NOTEBOOK and one.key not in needed]
    return belongings


def delete_belongings(clients: Clients, found: Belongings, step: Step) -> None:
    """Delete what was found, what uses something before what is used, and wait for it; safe to repeat.

    A refusal stops nothing else. What another run needs is named in the step's lines; raises ThingsLeft, once all of
    the rest is gone, for what was refused.
    """
    deletion = _Deletion(clients, found)
    try:
        for stage in STAGES:
            deletion.begin(stage)
            deletion.finish(stage)
    except KeyboardInterrupt:
        gone = len(deletion.gone)
        raise interrupted(
            "delete",
            f"{gone:,} of {counted(len(found.things))} deleted" + (f", {deletion.now}" if deletion.now else ""),
            "Run the same command again: it goes on from here.",
        ) from None
    deleted = [thing.deletion() for thing in found.things if thing.key in deletion.gone]
    if deletion.left:
        raise ThingsLeft(deleted, deletion.left)
    step.lines = [*deleted, *found.notes()]
    step.done(
        f"{counted(len(deleted))} deleted" if deleted else "nothing to delete",
        deleted=deleted,
        stays=[one.as_dict() for one in found.stays],
        not_looked_at=found.unseen,
    )


class _Deletion:
    """A clean-up under way: what is gone, and what is left."""

    def __init__(self, clients: Clients, found: Belongings) -> None:
        self._clients = clients
        self._things = found.things
        self.left: list[Left] = []
        self.gone: set[Key] = set()
        self.now = ""

    def begin(self, stage: Mapping[Kind, Removal]) -> None:
        """Ask for the end of each thing of the stage."""
        for thing, removal in self._of(stage):
            users = _users(thing, [one.thing for one in self.left])
            if users:
                self.left.append(Left(thing, f"{_listed(users)} is left and uses it", ""))
            elif self._do(removal.begin, thing) and removal.finish is None:
                self.gone.add(thing.key)

    def finish(self, stage: Mapping[Kind, Removal]) -> None:
        """Wait until what was begun is done: all of a stage ends at the same time."""
        for thing, removal in self._of(stage):
            if removal.finish is not None and self._do(removal.finish, thing):
                self.gone.add(thing.key)

    def _of(self, stage: Mapping[Kind, Removal]) -> Iterator[tuple[Thing, Removal]]:
        for thing in self._things:
            if thing.kind in stage and not any(one.thing.key == thing.key for one in self.left):
                yield thing, stage[thing.kind]

    def _do(self, act: Act, thing: Thing) -> bool:
        """Whether it went well; a refusal is written down. Raises StepFailed where the cloud does not answer."""
        from botocore.exceptions import ClientError

        self.now = f"{thing.kind} {thing.name} is being deleted"
        telling = scaling_step if thing.kind is Kind.SCALING else aws_step
        try:
            with telling("delete"):
                act(self._clients, thing)
        except StepFailed as error:
            # What is refused for one thing may be allowed for the next; a cloud that does not answer is none for all.
            if error.__cause__ is not None and not isinstance(error.__cause__, ClientError):
                raise
            self.left.append(Left(thing, error.cause, error.hint))
            return False
        return True


def _kept(made: Sequence[Thing], others: Sequence[Thing], unseen: Sequence[str]) -> Iterator[Left]:
    """What one run made and others need; what that needs itself stays with it."""
    staying = list(others)
    buckets = {thing.key for thing in made if thing.kind is Kind.BUCKET}
    for thing in made:
        users = _users(thing, staying)
        if thing.kind is Kind.DATA and not thing.needs & buckets:
            yield Left(thing, "it lies in the bucket of another run", "It goes with that bucket.")
            continue
        if users:
            yield Left(thing, f"{_listed(users)} uses it", "It goes with the last run that uses it.")
        elif thing.kind in _SHARED and unseen:
            why = f"whether another run uses it could not be looked at ({unseen[0]})"
            yield Left(thing, why, "Ask for the permission that is named, and delete again.")
        else:
            continue
        staying.append(thing)


def _users(thing: Thing, others: Sequence[Thing]) -> list[Thing]:
    return [one for one in others if thing.key in one.needs]


def _listed(things: Sequence[Thing]) -> str:
    shown = ", ".join(f"{one.kind} {one.name}" + (f" ({one.run})" if one.run else "") for one in things[:3])
    return shown + (f" and {len(things) - 3} more" if len(things) > 3 else "")


def _unknown(run: str, names: Names, things: Sequence[Thing]) -> StepFailed:
    runs = Counter(thing.run for thing in things if thing.run)
    known = ", ".join(f"{name} ({counted(count)})" for name, count in sorted(runs.items()))
    return StepFailed(
        "delete",
        f"project {names.project} has nothing of a run {run}",
        f"Runs that have something: {known}." if known else "No run of it has anything; `sagehound status` shows it.",
    )
