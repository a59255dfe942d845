"""One field of a cron expression as AWS writes them: *, lists, ranges, steps and names."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PART = re.compile(r"(?P<range>\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


def values(text: str, lowest: int, highest: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    """The numbers that a field allows; ValueError when it is none. `2/5` begins at 2 and goes on in fives."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no part of a field")
        step = int(match["step"] or 1)
        if not step:
            raise ValueError("a step is at least 1")
        if match["low"] is None:
            low, high = lowest, highest
        else:
            low = _number(match["low"], lowest, highest, names)
            if match["high"] is not None:
                high = _number(match["high"], lowest, highest, names)
            else:
                high = highest if match["step"] else low
        if high < low:  # FRI-MON
            found.update(range(low, highest + 1, step))
            low, high = lowest, high
        found.update(range(low, high + 1, step))
    return frozenset(found)


def _number(text: str, lowest: int, highest: int, names: Mapping[str, int] | None) -> int:
    number = (names or {}).get(text.upper())
    if number is None:
        number = int(text)
    if not lowest <= number <= highest:
        raise ValueError(f"{text} is not within {lowest} to {highest}")
    return number
