"""JSON conditions of filter patterns: `{ ($.level = "ERROR" && $.ms > 100) || $.trace[0] NOT EXISTS }`."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.services.logs.errors import invalid_parameter

Condition = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<path>\$(?:\.[\w*-]+|\["[^"]+"\]|\[\d+\])*)
  | (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w*.-]))
  | (?P<operator>&&|\|\||!=|<=|>=|=|<|>|\(|\)|\{|\})
  | (?P<word>[\w*.:/-]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r'\.([\w*-]+)|\["([^"]+)"\]|\[(\d+)\]')
_COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


def parse_condition(text: str) -> Condition:
    """The predicate on a parsed JSON message; InvalidParameterException when `text` is no such pattern."""
    parser = _Parser(text)
    parser.expect("{")
    try:
        condition = parser.alternatives()
    except RecursionError:
        raise _invalid() from None
    parser.expect("}")
    if parser.kind:
        raise _invalid()
    return condition


class _Parser:
    """Recursive descent over the tokens of one pattern; || binds less than &&."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._position = 0
        self._advance()

    def alternatives(self) -> Condition:
        found = [self._conjunction()]
        while self._accept("||"):
            found.append(self._conjunction())
        return lambda message: any(condition(message) for condition in found)

    def expect(self, text: str) -> None:
        if not self._accept(text):
            raise _invalid()

    def _conjunction(self) -> Condition:
        found = [self._condition()]
        while self._accept("&&"):
            found.append(self._condition())
        return lambda message: all(condition(message) for condition in found)

    def _condition(self) -> Condition:
        if self._accept("("):
            inner = self.alternatives()
            self.expect(")")
            return inner
        path = self._take("path")
        if self.kind == "word":
            return self._existence(path)
        compare = self._take("operator")
        if compare not in _COMPARE:
            raise _invalid()
        kind, value = self.kind, self.token
        self._advance()
        if kind == "number":
            return _number_condition(path, compare, float(value))
        if kind in ("string", "word") and compare in ("=", "!="):
            return _text_condition(path, compare, _unquoted(value))
        raise _invalid()

    def _existence(self, path: str) -> Condition:
        words = self._take("word").upper(), self._take("word").upper()
        if words == ("NOT", "EXISTS"):
            return lambda message: _value(message, path) is _MISSING
        if words[0] == "IS" and words[1] in ("NULL", "TRUE", "FALSE"):
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}[words[1]]
            return lambda message: _value(message, path) is wanted
        raise _invalid()

    def _take(self, kind: str) -> str:
        if self.kind != kind:
            raise _invalid()
        token = self.token
        self._advance()
        return token

    def _accept(self, text: str) -> bool:
        if self.kind == "operator" and self.token == text:
            self._advance()
            return True
        return False

    def _advance(self) -> None:
        if self._position >= len(self._text):
            self.kind, self.token = "", ""
            return
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            raise _invalid()
        self._position = match.end()
        self.kind = match.lastgroup or ""
        self.token = match[self.kind]


def _number_condition(path: str, compare: str, wanted: float) -> Condition:
    def condition(message: Any) -> bool:
        value = _value(message, path)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return compare == "!=" and value is not _MISSING
        return bool(_COMPARE[compare](value, wanted))

    return condition


def _text_condition(path: str, compare: str, wanted: str) -> Condition:
    glob = re.compile(fnmatch.translate(re.sub(r"([\[\]?])", r"[\1]", wanted)))

    def condition(message: Any) -> bool:
        value = _value(message, path)
        if value is _MISSING:
            return False
        equal = isinstance(value, str) and glob.match(value) is not None
        return equal == (compare == "=")

    return condition


def _value(message: Any, path: str) -> Any:
    value = message
    for name, quoted, index in _STEP.findall(path):
        if index and isinstance(value, list):
            value = value[int(index)] if int(index) < len(value) else _MISSING
        elif (name or quoted) and isinstance(value, dict):
            value = value.get(name or quoted, _MISSING)
        else:
            return _MISSING
    return value


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _invalid() -> Exception:
    return invalid_parameter("Invalid filter pattern")
