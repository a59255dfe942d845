"""A plan of a step: every call of AWS that it would make, the policy that its caller needs, and what it would cost.

The step itself is walked, on a world in which its calls are answered and not made (plan_calls.py, plan_world.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names
from sagehound.pipeline.plan_calls import Call, Interceptor
from sagehound.pipeline.plan_cost import estimate_lines
from sagehound.pipeline.plan_permissions import Permissions, where_it_fits
from sagehound.pipeline.plan_world import PlannedWorld
from sagehound.pipeline.progress import Step
from sagehound.settings import PipelineSettings

STAND_INS = (
    "what only a run can know stands for itself: names that contain a digest of tuned values will differ (the first "
    "value of each range stands for the best), and every job counts as completed, every endpoint as in service"
)
_SHOWN_CHARACTERS = 400


@dataclass
class Plan:
    """The calls of a planned walk in their order."""

    clients: Clients
    calls: list[Call] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, clients: Clients) -> Plan:
        """A plan of what these clients do from now on; no client of theirs may have been made before."""
        plan = cls(clients)
        world = PlannedWorld(clients.region, clients.partition, lambda: clients.account_id)
        clients.listen(Interceptor(world, plan.calls.append))
        return plan

    @property
    def writing(self) -> list[Call]:
        """The calls that were not made."""
        return [call for call in self.calls if not call.reads]

    def policy(self, project: str) -> dict[str, Any]:
        """What the caller needs to be allowed for all of it."""
        clients = self.clients
        return Permissions(clients.partition, clients.region, clients.account_id, project).policy(self.calls)

    def as_dict(self, names: Names, settings: PipelineSettings) -> dict[str, Any]:
        """For machines: every call with its parameters, whether it reads, the policy and the costs."""
        return {
            "calls": [{"call": call.name, "reads": call.reads, "params": shown(call.params)} for call in self.calls],
            "policy": self.policy(names.project),
            "cost": estimate_lines(self.writing, settings),
            "notes": [STAND_INS, *self.notes],
        }

    def write(self, out: TextIO, names: Names, settings: PipelineSettings) -> None:
        """For people: the writing calls with their parameters, how often others are asked, the policy, the costs."""
        reading = _counted([call.name for call in self.calls if call.reads])
        out.write(f"would make {len(self.writing):,} calls that change something:\n")
        for line in _lines(self.writing):
            out.write(f"  {line}\n")
        out.write(f"and asks: {', '.join(reading)}\n")
        out.write("policy that the caller needs:\n")
        policy = self.policy(names.project)
        out.write(f"{json.dumps(policy, indent=2)}\n{where_it_fits(policy)}\n")
        for line in (*estimate_lines(self.writing, settings), STAND_INS, *self.notes):
            out.write(f"{line}\n")


class QuietReporter:
    """Steps of a plan tell nothing of their own: what they would say has not happened. Notes are kept."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """The step, whose result is dropped; one that fails on the planned world ends the plan, which says so."""
        try:
            yield Step(name)
        except StepFailed as error:
            self._plan.notes.append(f"the plan goes as far as {error.step}: {error.cause}")
            raise

    def note(self, text: str, **details: Any) -> None:
        """Keep the note for the plan's end."""
        self._plan.notes.append(text)

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """Nothing is under way."""

    def log(self, line: str) -> None:
        """No job writes anything."""

    def trials(self, standing: Any) -> None:
        """No trial runs."""

    def load(self, standing: Any) -> None:
        """No load is sent."""


def shown(value: Any) -> Any:
    """Parameters as JSON has them: the bytes of a body are a count, a JSON document in a text is one."""
    if isinstance(value, bytes | bytearray):
        return f"<{len(value):,} bytes>"
    if isinstance(value, dict):
        return {name: shown(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [shown(below) for below in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _lines(calls: list[Call]) -> Iterator[str]:
    """A line for each call, one for a row of calls that differ in their key and body only."""
    at = 0
    while at < len(calls):
        end = at + 1
        while end < len(calls) and _alike(calls[end], calls[at]):
            end += 1
        text = json.dumps(shown(calls[at].params), ensure_ascii=False)
        more = f" x {end - at:,}, the first with" if end - at > 1 else ""
        yield f"{calls[at].name}{more} {text}"
        at = end


def _alike(one: Call, other: Call) -> bool:
    """Whether two calls differ in no more than the object that they are about, and its bytes."""
    varying = ("Key", "Body", "ContentType")
    kept = [{name: value for name, value in call.params.items() if name not in varying} for call in (one, other)]
    return one.name == other.name and "Body" in one.params and kept[0] == kept[1]


def _counted(names: list[str]) -> list[str]:
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return [f"{name} x {count}" if count > 1 else name for name, count in counts.items()]
