"""Metrics of a training job, read from its output by the regular expressions of MetricDefinitions."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from sagehound.localcloud.errors import validation

NAMESPACE = "/aws/sagemaker/TrainingJobs"


def check(definitions: list[dict[str, str]]) -> None:
    """Refuse an expression that cannot be compiled or captures nothing, and two metrics of one name."""
    for definition in definitions:
        try:
            pattern = re.compile(definition["Regex"])
        except re.error as error:
            raise validation(f"Invalid Regex of metric definition {definition['Name']!r}: {error}.") from error
        if not pattern.groups:
            raise validation(
                f"The Regex of metric definition {definition['Name']!r} has no group that captures a value."
            )
    names = [definition["Name"] for definition in definitions]
    if len(set(names)) < len(names):
        raise validation(f"Metric definition names must be unique, got {', '.join(names)}.")


class MetricReader:
    """The metrics of one job: finds values in lines, and remembers the last of each for FinalMetricDataList."""

    def __init__(self, definitions: list[dict[str, str]], final: list[dict[str, Any]]) -> None:
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._final = {data["MetricName"]: data for data in final}

    def read(self, line: str, moment: datetime) -> list[tuple[str, float]]:
        """The (name, value) pairs of one line; what is no finite number is no value."""
        found = []
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                value = _number(match[1])
                if value is not None:
                    found.append((name, value))
                    self._final[name] = {"MetricName": name, "Value": value, "Timestamp": moment}
        return found

    @property
    def final(self) -> list[dict[str, Any]]:
        """FinalMetricDataList: the last value of each metric."""
        return list(self._final.values())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
