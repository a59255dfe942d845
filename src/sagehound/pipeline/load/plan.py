"""What a load is: its target, its rate or its number of callers, and how long it lasts"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from sagehound.errors import StepFailed


@dataclass(frozen=True)
class EndpointTarget:
    """A SageMaker endpoint."""

    name: str

    def as_dict(self) -> dict[str, Any]:
        """For the result."""
        return {"kind": "endpoint", "name": self.name}

    def __str__(self) -> str:
        return f"endpoint {self.name}"


@dataclass(frozen=True)
class FunctionTarget:
    """A Lambda function, by one of its versions or aliases where one is named."""

    name: str
    qualifier: str = ""

    @classmethod
    def of(cls, text: str) -> FunctionTarget:
        """NAME or NAME:QUALIFIER."""
        name, _, qualifier = text.partition(":")
        return cls(name, qualifier)

    def as_dict(self) -> dict[str, Any]:
        """For the result."""
        return {"kind": "function", "name": self.name, "qualifier": self.qualifier}

    def __str__(self) -> str:
        return f"function {self.name}" + (f":{self.qualifier}" if self.qualifier else "")


Target = EndpointTarget | FunctionTarget


@dataclass(frozen=True)
class LoadPlan:
    """An open loop (``rate``: requests are due by the clock) or a closed one (``concurrency``: so many callers).

    ``duration`` includes the ``ramp``, in which the rate or the number of callers grows from nothing. ``after`` is
    for how long, at most, the instances are watched when all requests are answered.
    """

    rate: float = 0.0
    concurrency: int = 0
    duration: float = 60.0
    ramp: float = 0.0
    arrivals: str = "constant"
    seed: int = 0
    timeout: float = 60.0
    max_in_flight: int = 1000
    after: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rate", "duration", "ramp", "after"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise StepFailed(
                    "load", f"--{name} {value:g} makes no load", f"Give --{name} a number that is not below 0."
                )
        if (self.rate > 0) == (self.concurrency > 0):
            raise StepFailed("load", "a load has either a rate or a concurrency", "Give --rate or --concurrency.")
        if not self.duration:
            raise StepFailed("load", "a load of 0 s sends nothing", "Give --duration above 0.")
        if self.ramp > self.duration:
            raise StepFailed(
                "load",
                f"a ramp of {self.ramp:g} s does not fit into {self.duration:g} s",
                "Give a --ramp that is no longer than --duration.",
            )

    @property
    def closed(self) -> bool:
        """Whether each caller waits for its answer before it asks again."""
        return self.concurrency > 0

    def asked(self, second: float) -> float:
        """Requests a second that are due at a moment of an open loop."""
        if not 0 <= second < self.duration or self.closed:
            return 0.0
        return self.rate * min(1.0, second / self.ramp) if self.ramp else self.rate

    def sentence(self) -> str:
        """50 a second for 60 s, after a ramp of 10 s."""
        much = f"{self.concurrency} callers" if self.closed else f"{self.rate:g} a second"
        return f"{much} for {self.duration:g} s" + (f", of which {self.ramp:g} s are a ramp" if self.ramp else "")

    def as_dict(self) -> dict[str, Any]:
        """For the result: ``loop`` says which kind it was."""
        return {"loop": "closed" if self.closed else "open", **asdict(self)}
