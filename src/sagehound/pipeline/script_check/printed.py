"""The lines that a script prints, rendered with a number in every gap, so that an objective's regex can be tried"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from sagehound.pipeline.script_check.script import Script, dotted, method

GAP = "1.25"
LOG_METHODS = ("info", "debug", "warning", "error", "critical", "log")
PERCENT = re.compile(r"%(\(\w+\))?[-+ #0]*\d*(\.\d+)?[a-zA-Z]")
LONGEST = 2_000
USUAL = r"(?i)(test|testing)( set)?:?( average)?[ _](loss|acc\w*)\W*[:=]"


@dataclass
class Line:
    """One printing call: its text with gaps filled, and each printed expression with its format."""

    call: ast.Call
    text: str = ""
    values: list[tuple[ast.expr, str]] = field(default_factory=list)


def lines(script: Script) -> Iterator[Line]:
    """Every call of print, a logger or sys.stdout.write."""
    for call in script.calls:
        name = method(call)
        logs = name in LOG_METHODS and isinstance(call.func, ast.Attribute) and "log" in dotted(call.func).lower()
        if name == "print" or logs or dotted(call.func).endswith("stdout.write"):
            line = Line(call)
            if logs and len(call.args) > 1:
                _percent(script, line, call.args[0], call.args[1:])
            else:
                for place, argument in enumerate(call.args):
                    line.text += " " if place else ""
                    _render(script, line, argument)
            line.text = line.text[:LONGEST]
            yield line


def matched(script: Script, regex: str) -> list[Line]:
    """The printed lines that the objective's regex reads a value from; none where the regex is none."""
    pattern = compiled(regex)
    if pattern is None:
        return []
    return [line for line in lines(script) if any(pattern.search(text) for text in line.text.split("\n"))]


def compiled(regex: str) -> re.Pattern[str] | None:
    """The expression, or None where it is none: CreateHyperParameterTuningJob says so, in its own words."""
    try:
        return re.compile(regex)
    except re.error:
        return None


def _render(script: Script, line: Line, node: ast.expr) -> None:
    node = script.value(node) if isinstance(node, ast.Name) and _is_text(script.value(node)) else node
    if isinstance(node, ast.Constant):
        line.text += str(node.value)
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                spec = part.format_spec
                line.values.append((part.value, ast.unparse(spec)[2:-1] if spec else ""))
                line.text += GAP
            else:
                _render(script, line, part)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        _render(script, line, node.left)
        _render(script, line, node.right)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        _percent(script, line, node.left, node.right.elts if isinstance(node.right, ast.Tuple) else [node.right])
    elif isinstance(node, ast.Call) and method(node) == "format" and isinstance(node.func, ast.Attribute):
        _format(line, node.func.value, node.args)
    else:
        line.values.append((node, ""))
        line.text += GAP


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _percent(script: Script, line: Line, template: ast.expr, arguments: list[ast.expr]) -> None:
    specs = list(PERCENT.finditer(str(template.value))) if isinstance(template, ast.Constant) else []
    inner = Line(line.call)
    _render(script, inner, template)
    line.text += PERCENT.sub(GAP, inner.text)
    line.values += inner.values
    for place, argument in enumerate(arguments):
        line.values.append((argument, specs[place].group()[1:] if place < len(specs) else ""))


def _format(line: Line, template: ast.expr, arguments: list[ast.expr]) -> None:
    text = template.value if isinstance(template, ast.Constant) else None
    try:
        parts = list(string.Formatter().parse(text)) if isinstance(text, str) else []
    except ValueError:  # a lone brace, which fails when it is printed, too
        parts = []
    specs: dict[int, str] = {}
    for place, (literal, name, spec, _) in enumerate(p for p in parts if p[1] is not None or p[0]):
        line.text += literal + (GAP if name is not None else "")
        if name is not None:
            specs[int(name) if name.isdigit() else place] = spec or ""
    line.values += [(argument, specs.get(place, "")) for place, argument in enumerate(arguments)]
