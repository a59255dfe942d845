"""What a handler's text says without being run: its functions, the endpoints it names, and what would mislead."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """Something in a handler that works and is worth changing."""

    file: str
    line: int
    text: str
    advice: str


@dataclass(frozen=True)
class Handled:
    """What was read: endpoint names written out, environment variables that give one, and remarks."""

    endpoints: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()


def handlers_in(source: str) -> list[str]:
    """Names of the top-level functions that take an event and a context."""
    tree = _parsed(source)
    return [
        node.name
        for node in (tree.body if tree else [])
        if isinstance(node, ast.FunctionDef)
        and len([*node.args.posonlyargs, *node.args.args]) - len(node.args.defaults) <= 2
        and len([*node.args.posonlyargs, *node.args.args]) >= 2
    ]


def read_handler(source: str, file: str, function: str) -> Handled:
    """What the text of the handler's module says; nothing where it is no Python of this version."""
    tree = _parsed(source)
    if tree is None:
        return Handled()
    given = _assigned(tree)
    endpoints: dict[str, int] = {}
    variables: dict[str, None] = {}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute) or not call.func.attr.startswith("invoke_endpoint"):
            continue
        for keyword in call.keywords:
            if keyword.arg != "EndpointName":
                continue
            for value in _values(keyword.value, given):
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    endpoints.setdefault(value.value, value.lineno)
                elif variable := _environment_variable(value):
                    variables.setdefault(variable)
    handler = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function), None)
    remarks = [_literal(file, line, name) for name, line in endpoints.items()]
    remarks += list(_in_handler(handler, file)) if handler else []
    return Handled(tuple(endpoints), tuple(variables), tuple(sorted(remarks, key=lambda remark: remark.line)))


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None  # perhaps of another version of Python: its own runtime will say


def _assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What each name was given, anywhere in the module."""
    given: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    given.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            given.setdefault(node.target.id, []).append(node.value)
    return given


def _values(value: ast.expr, given: dict[str, list[ast.expr]]) -> list[ast.expr]:
    return given.get(value.id, []) if isinstance(value, ast.Name) else [value]


def _environment_variable(value: ast.expr) -> str:
    """NAME of os.environ["NAME"], os.environ.get("NAME") and os.getenv("NAME"); empty for anything else."""
    name: ast.expr | None = None
    if isinstance(value, ast.Subscript) and ast.unparse(value.value) in ("os.environ", "environ"):
        name = value.slice
    elif isinstance(value, ast.Call) and value.args:
        called = ast.unparse(value.func)
        name = value.args[0] if called in ("os.environ.get", "environ.get", "os.getenv", "getenv") else None
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""


def _literal(file: str, line: int, name: str) -> Remark:
    return Remark(
        file,
        line,
        f"the endpoint's name {name!r} is written into the code, so an endpoint of another name breaks the function.",
        'Read it: os.environ["SAGEHOUND_ENDPOINT_NAME"] is set.',
    )


def _in_handler(handler: ast.FunctionDef, file: str) -> Iterator[Remark]:
    names = [argument.arg for argument in [*handler.args.posonlyargs, *handler.args.args]]
    context = names[1] if len(names) > 1 else ""
    for node in ast.walk(handler):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in ("str", "repr") and node.args and ast.unparse(node.args[0]) == context:
            yield Remark(
                file,
                node.lineno,
                f"{called}({context}) tells every caller the function's ARN, its account and its log stream.",
                "Leave it out of the answer, or print it into the log.",
            )
        if called in ("boto3.client", "boto3.Session", "boto3.session.Session"):
            yield Remark(
                file,
                node.lineno,
                "a client is made in the handler, so every call pays for it.",
                "Make it at the top of the module, once.",
            )
