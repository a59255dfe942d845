"""Metric math: an expression of GetMetricData parsed and evaluated over series."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from sagehound.localcloud.errors import not_implemented
from sagehound.localcloud.services.cloudwatch.errors import invalid_query
from sagehound.localcloud.services.cloudwatch.series import Series, Value, aggregate, apply, differences, fill, total

_TOKEN = re.compile(r"""\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-z]\w*)|("[^"]*"|'[^']*')|(.))""", re.DOTALL)
_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "SUM": total,
    "AVG": lambda values: total(values) / len(values),
    "MIN": min,
    "MAX": max,
}
_EACH: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)) if math.isfinite(value) else value,
    "FLOOR": lambda value: float(math.floor(value)) if math.isfinite(value) else value,
}
MOST_COMPUTED = 1_000_000
"""Data points of all expressions of one request together: they are all in memory at once."""
_FUNCTIONS = {*_AGGREGATES, *_EACH, "METRICS", "PERIOD", "FILL", "DIFF", "RATE"}

Lookup = Callable[[str], Value]
"""The value of an id of the same request."""


def evaluate(text: str, lookup: Lookup, metrics: dict[str, Series]) -> Value:
    """The value of an expression; ValidationError for bad syntax, NotImplemented for functions that we do not have."""
    try:
        return _Evaluation(text, lookup, metrics).result()
    except RecursionError:
        raise invalid_query("Error in an expression: it is nested too deeply.") from None


class _Evaluation:
    """Recursive descent that computes as it reads; ^ binds most, then * and /, then + and -."""

    def __init__(self, text: str, lookup: Lookup, metrics: dict[str, Series]) -> None:
        self._text = text
        self._lookup = lookup
        self._metrics = metrics
        self._tokens = [match.group(match.lastindex or 0) for match in _TOKEN.finditer(text.strip())]
        self._next = 0

    def result(self) -> Value:
        value = self._sum()
        if self._next < len(self._tokens):
            if self._tokens[self._next] in ("=", "<", ">", "!", "&", "|") or self._peek().upper() in ("AND", "OR"):
                raise not_implemented("cloudwatch", "GetMetricData with comparisons in an expression")
            raise self._invalid()
        return value

    def _sum(self) -> Value:
        value = self._product()
        while self._peek() in ("+", "-"):
            value = apply(self._take(), value, self._product())
        return value

    def _product(self) -> Value:
        value = self._unary()
        while self._peek() in ("*", "/"):
            value = apply(self._take(), value, self._unary())
        return value

    def _unary(self) -> Value:
        if self._peek() == "-":
            self._take()
            return apply("*", -1.0, self._unary())
        return self._power()

    def _power(self) -> Value:
        value = self._operand()
        if self._peek() == "^":
            self._take()
            return apply("^", value, self._unary())
        return value

    def _operand(self) -> Value:
        token = self._take()
        if token == "(":
            value = self._sum()
            self._expect(")")
            return value
        if token == "[":
            return self._array()
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return float(token)
        if token[0].isalpha():
            return self._function(token) if self._peek() == "(" else self._lookup(token)
        raise self._invalid()

    def _array(self) -> list[Series]:
        members: list[Series] = []
        while True:
            value = self._sum()
            if not isinstance(value, Series):
                raise invalid_query(f"An array holds time series only: {self._text}")
            members.append(value)
            if self._peek() != ",":
                self._expect("]")
                return members
            self._take()

    def _function(self, written: str) -> Value:
        name = written.upper()
        if name not in _FUNCTIONS:
            raise not_implemented("cloudwatch", f"GetMetricData with the function {written}")
        self._expect("(")
        if name == "METRICS":
            return self._all_metrics()
        value = self._sum()
        if name == "FILL":
            return self._fill(value)
        self._expect(")")
        if name in _AGGREGATES:
            return aggregate(_AGGREGATES[name], value)
        if name == "PERIOD":
            if not isinstance(value, Series):
                raise invalid_query("PERIOD needs a time series.")
            return float(value.period)
        if name in _EACH and isinstance(value, float):
            return _EACH[name](value)
        return _each(value, lambda one: _of_one(name, one))

    def _all_metrics(self) -> list[Series]:
        part = ""
        if self._peek() != ")":
            text = self._take()
            if text[0] not in "\"'":
                raise self._invalid()
            part = text[1:-1]
        self._expect(")")
        return [series for name, series in self._metrics.items() if part in name]

    def _fill(self, value: Value) -> Value:
        self._expect(",")
        how: Value | str = self._take().upper() if self._peek().upper() in ("REPEAT", "LINEAR") else self._sum()
        self._expect(")")
        if not isinstance(how, float | str):
            raise invalid_query("FILL takes a number, REPEAT or LINEAR.")
        chosen = how
        wanted = sum(len(one.times()) for one in value) if isinstance(value, list) else 0
        if wanted > MOST_COMPUTED:
            raise invalid_query(f"FILL would make {wanted:,} data points; the most are {MOST_COMPUTED:,}.")
        return _each(value, lambda one: fill(one, chosen))

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        if self._next >= len(self._tokens):
            raise self._invalid()
        self._next += 1
        return self._tokens[self._next - 1]

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise self._invalid()

    def _invalid(self) -> Exception:
        return invalid_query(f"Error in expression [{self._text}]: it cannot be read.")


def _of_one(name: str, series: Series) -> Series:
    if name in _EACH:
        return series.map(_EACH[name])
    return differences(series, per_second=name == "RATE")


def _each(value: Value, function: Callable[[Series], Series]) -> Value:
    if isinstance(value, Series):
        return function(value)
    if isinstance(value, list):
        return [function(one) for one in value]
    raise invalid_query("This function needs a time series.")
