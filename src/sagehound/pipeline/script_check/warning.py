"""One thing that a script is warned of, with its line and the way out"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class ScriptWarning:
    """`line` counts from 1; `text` says what is wrong and what it leads to; `advice` holds the repaired line."""

    line: int
    code: str
    text: str
    advice: str


@dataclass(frozen=True)
class Job:
    """What the script is to run as, in the words of CreateTrainingJob."""

    instance_type: str
    instance_count: int
    distribution: str
    objective_regex: str = ""
    tuned: tuple[str, ...] = ()
