"""Which split (train, validation, test) an expression of a script reads, followed back to the folder's name"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from sagehound.pipeline.script_check.script import Function, Script, dotted, method

SPLITS = dict.fromkeys(("train", "training"), "train")
SPLITS |= dict.fromkeys(("valid", "validation", "val", "dev", "eval"), "validation")
SPLITS |= dict.fromkeys(("test", "testing", "tests"), "test")
FOLLOWED = {"join", "Path", "PurePath", "str", "abspath", "getenv", "get", "list", "iter", "enumerate", "tqdm"}
FOLLOWED |= {"DataLoader", "ImageFolder", "DatasetFolder", "Subset"}
MOST_STEPS = 4000
DEEPEST = 24

Frames = Mapping[ast.AST, ast.Call]
"""Which call led into each function: what its parameters are, this time."""


class Splits:
    """Follows names, arguments, returned tuples and defaults of options; an answer with two splits is no answer."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.steps = 0

    def of(self, node: ast.expr, frames: Frames | None = None) -> dict[str, int]:
        """The splits that the expression reads, each with the line that says so (of the data set, where it is made)."""
        self.steps = 0
        return self._of(node, frames or {}, None, 0)

    def only(self, node: ast.expr, frames: Frames | None = None) -> str:
        """The one split that the expression reads, or ""."""
        found = self.of(node, frames)
        return next(iter(found)) if len(found) == 1 else ""

    def _of(self, node: ast.expr, frames: Frames, index: int | None, depth: int) -> dict[str, int]:
        self.steps += 1
        if depth > DEEPEST or self.steps > MOST_STEPS:
            return {}
        step = depth + 1
        if isinstance(node, ast.Constant):
            return named(node.value, node.lineno)
        if isinstance(node, ast.Tuple | ast.List):
            held = node.elts[index : index + 1] if index is not None and index >= 0 else []
            return self._last(held, frames, step)
        if isinstance(node, ast.Name):
            return self._of_name(node, frames, index, step)
        if isinstance(node, ast.Attribute):
            return self._of_attribute(node, frames, step)
        if isinstance(node, ast.Subscript):
            return self._of_item(node, frames, step)
        if isinstance(node, ast.Call):
            return self._of_call(node, frames, index, step)
        if isinstance(node, ast.BinOp):
            return self._last([node.left, node.right], frames, step)
        if isinstance(node, ast.JoinedStr):
            return self._last(list(node.values), frames, step)
        if isinstance(node, ast.FormattedValue):
            return self._of(node.value, frames, None, step)
        if isinstance(node, ast.IfExp):
            return self._of(node.body, frames, index, step) | self._of(node.orelse, frames, index, step)
        return {}

    def _last(self, nodes: list[ast.expr], frames: Frames, depth: int) -> dict[str, int]:
        """What the last part of a path says: /opt/ml/input/data/train/test is the test folder."""
        for node in reversed(nodes):
            found = self._of(node, frames, None, depth)
            if found:
                return found
        return {}

    def _of_name(self, node: ast.Name, frames: Frames, index: int | None, depth: int) -> dict[str, int]:
        found: dict[str, int] = {}
        scope = self.script.scope(node)
        local = self.script.assigned.get((scope, node.id), [])
        if not local and isinstance(scope, Function) and node.id in parameters(scope):
            calls = (
                [frames[scope]] if scope in frames else [c for c in self.script.calls if self.script.local(c) is scope]
            )
            for call in calls:
                given = argument(scope, call, node.id)
                if given is not None:
                    found |= self._of(given, frames, index, depth)
            return found
        for value, place in local or self.script.values(node):
            found |= self._of(value, frames, place if place is not None else index, depth)
        return found

    def _of_attribute(self, node: ast.Attribute, frames: Frames, depth: int) -> dict[str, int]:
        if node.attr == "dataset":
            return self._of(node.value, frames, None, depth)
        found: dict[str, int] = {}
        for value, place in self.script.assigned.get((self.script.tree, dotted(node)), []):
            found |= self._of(value, frames, place, depth)
        for call in self.script.calls:
            if not found and method(call) == "add_argument" and destination(call) == node.attr:
                found = self._last([k.value for k in call.keywords if k.arg == "default"], frames, depth)
        return found

    def _of_item(self, node: ast.Subscript, frames: Frames, depth: int) -> dict[str, int]:
        key = node.slice
        if not isinstance(key, ast.Constant):
            return {}
        if isinstance(key.value, int):
            return self._of(node.value, frames, key.value, depth)
        held = self.item(node.value, str(key.value), frames)
        return (self._of(held, frames, None, depth) if held is not None else {}) or named(key.value, node.lineno)

    def item(self, node: ast.expr, key: str, frames: Frames | None = None) -> ast.expr | None:
        """The value under a key, of a dictionary that is written out in the script."""
        scope = self.script.scope(node)
        holder = self.script.value(node)
        if holder is node and isinstance(node, ast.Name) and isinstance(scope, Function):
            for call in [c for c in self.script.calls if self.script.local(c) is scope]:
                given = argument(scope, (frames or {}).get(scope, call), node.id)
                holder = self.script.value(given) if given is not None else node
        if isinstance(holder, ast.Dict):
            for name, value in zip(holder.keys, holder.values, strict=True):
                if isinstance(name, ast.Constant) and name.value == key:
                    return value
        return None

    def _of_call(self, node: ast.Call, frames: Frames, index: int | None, depth: int) -> dict[str, int]:
        function = self.script.local(node)
        if function is not None:
            found: dict[str, int] = {}
            for child in ast.walk(function):
                if isinstance(child, ast.Return) and child.value is not None and self.script.scope(child) is function:
                    found |= self._of(child.value, {**frames, function: node}, index, depth)
            return found
        name = method(node)
        data_set = name == "ImageFolder" or "dataset" in name.lower()
        if name not in FOLLOWED and not data_set:
            return {}
        followed = node.args[:1] if name in ("DataLoader", "ImageFolder", "get", "getenv") else node.args
        wanted = ("root", "dataset", "split", "mode", "path", "data_dir")
        found = self._last([*followed, *(k.value for k in node.keywords if k.arg in wanted)], frames, depth)
        return dict.fromkeys(found, node.lineno) if data_set else found


def named(value: object, line: int) -> dict[str, int]:
    """The splits that a path, a key or the name of a channel's variable names."""
    if not isinstance(value, str):
        return {}
    if value == "SM_CHANNEL_TRAINING":  # the usual channel of the whole data set
        return {}
    parts = [p for p in re.split(r"[/\\]", value.lower().removeprefix("sm_channel_")) if p in SPLITS]
    return {SPLITS[parts[-1]]: line} if parts else {}


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """A function's parameters in order, without `self`."""
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    return names[1:] if names[:1] == ["self"] else names


def argument(function: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call, name: str) -> ast.expr | None:
    """What a call gives for a parameter."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    place = parameters(function).index(name) if name in parameters(function) else len(call.args)
    plain = not any(isinstance(a, ast.Starred) for a in call.args)
    return call.args[place] if plain and place < len(call.args) else None


def destination(call: ast.Call) -> str:
    """The attribute that argparse stores an option under: `dest`, otherwise its first long name."""
    for keyword in call.keywords:
        if keyword.arg == "dest" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    names = [str(a.value) for a in call.args if isinstance(a, ast.Constant)]
    long = next((n for n in names if n.startswith("--")), names[0] if names else "")
    return long.lstrip("-").replace("-", "_")
