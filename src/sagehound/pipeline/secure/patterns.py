"""Patterns of policies, with * and ?: which text one matches, which patterns it covers, whether two can meet."""

from __future__ import annotations

import functools
import re


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "[^*]"}
    source = "".join(parts.get(letter, re.escape(letter)) for letter in pattern)
    return re.compile(source, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def covers(pattern: str, other: str, *, ignore_case: bool = False) -> bool:
    """Whether everything that ``other`` stands for (a text, or itself a pattern) is matched by ``pattern``.

    A * of ``other`` is met by a * of ``pattern`` only, so the answer errs on the side of "no".
    """
    return _compiled(pattern, ignore_case).fullmatch(other) is not None


def covers_action(pattern: str, action: str) -> bool:
    """The same for actions, whose case does not matter."""
    return covers(pattern, action, ignore_case=True)


def meet(one: str, other: str) -> bool:
    """Whether some text is matched by both patterns."""
    # Positions of `other` that can be reached after each letter of `one`, a * of either standing for any number.
    reached = _after_stars(other, {0})
    for letter in one:
        if letter == "*":
            reached = set(range(min(reached), len(other) + 1)) if reached else set()
            continue
        step = set()
        for place in reached:
            if place < len(other) and (other[place] == "*" or letter == "?" or other[place] in ("?", letter)):
                step.add(place if other[place] == "*" else place + 1)
        reached = _after_stars(other, step)
    return len(other) in reached


def _after_stars(pattern: str, places: set[int]) -> set[int]:
    """The places, and those behind the stars that begin there: a star may stand for nothing."""
    found = set()
    for place in places:
        found.add(place)
        while place < len(pattern) and pattern[place] == "*":
            place += 1
            found.add(place)
    return found


def is_pattern(text: str) -> bool:
    """Whether the text stands for more than itself; a policy variable such as ${aws:username} does."""
    return "*" in text or "?" in text or "${" in text
