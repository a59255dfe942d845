"""What the file of a load must hold to be read: its members, and of what kind each is"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TEXT, _COUNT, _NUMBER, _MAYBE = (str,), (int,), (int, float), (int, float, type(None))
_FIGURES = dict.fromkeys(("mean", "p50", "p90", "p99", "max"), _NUMBER)
_SECOND = dict.fromkeys(("second", "sent", "answered"), _COUNT) | {"errors": {str: _COUNT}}
_CAPACITY = dict.fromkeys(("rate", "per_instance", "p99", "bound", "tolerance"), _NUMBER)
SHAPE: dict[Any, Any] = {
    "target": {"kind": _TEXT, "name": _TEXT},
    "plan": dict.fromkeys(("rate", "concurrency", "duration", "ramp", "max_in_flight", "after"), _NUMBER),
    "started": _TEXT,
    "speed": _NUMBER,
    "ended": _TEXT,
    "elapsed": _NUMBER,
    "sent": _COUNT,
    "answered": _COUNT,
    "seconds": [_SECOND | dict.fromkeys(("p50", "p90", "p99"), _MAYBE)],
    "percentiles": _FIGURES,
    "corrected": _FIGURES,
    "errors": {str: _COUNT},
    "error_words": {str: _TEXT},
    "instances": [{"second": _NUMBER, "current": _COUNT, "desired": _COUNT}],
    "concurrency": [{"second": _NUMBER, "requested": _COUNT, "available": _COUNT}],
    "cold_starts": _MAYBE,
    "activities": [{"second": _NUMBER, "description": _TEXT, "cause": _TEXT, "status": _TEXT}],
    "generator": {"reasons": [_TEXT], "held_back": _COUNT, "not_sent": _COUNT, "unanswered": _COUNT},
    "remarks": [_TEXT],
    "provisioned": {"invocations": _COUNT, "spillover": _COUNT},
    "capacity": _CAPACITY | {"instances": _COUNT, "instance_type": _TEXT},
}
"""A tuple is kinds of one value, a list has any number of its one member, ``str`` stands for any name."""
_EMPTY = ("percentiles", "corrected", "provisioned", "capacity")
"""Members of which there may be nothing."""


def faults(content: dict[str, Any]) -> Iterator[str]:
    """What is missing or of another kind, each in a few words."""
    given = {name: shape for name, shape in SHAPE.items() if content.get(name) or name not in _EMPTY}
    yield from _faults("it", content, given)
    if content.get("capacity") and not content.get("percentiles"):
        yield "it has a capacity and no percentiles"


def _faults(where: str, value: Any, shape: Any) -> Iterator[str]:
    kinds = shape if isinstance(shape, tuple) else type(shape)
    if not isinstance(value, kinds):
        yield f"{where} is of another kind: {str(value)[:40]}"
    elif isinstance(shape, list):
        for number, one in enumerate(value):
            yield from _faults(f"{where}[{number}]", one, shape[0])
    elif isinstance(shape, dict):
        for name, inner in shape.items():
            if name is str:
                for key, one in value.items():
                    yield from _faults(key, one, inner)
            elif name in value:
                yield from _faults(name if where == "it" else f"{where}.{name}", value[name], inner)
            else:
                yield f"{where} has no {name}"
