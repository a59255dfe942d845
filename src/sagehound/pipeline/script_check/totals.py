"""Sums over the batches of a loop, and what they are divided by afterwards"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sagehound.pipeline.script_check.script import Function, Scope, Script, dotted, inside, iterated, method

Added = Literal["sum", "mean", "count", ""]
LOSS_WORDS = ("loss", "running_l")
LOSS_NAMES = ("los", "l")
RIGHT_WORDS = ("correct", "acc", "hits")


@dataclass(frozen=True)
class Division:
    """`total / divisor`, of a total that a loop over `loader` summed up."""

    node: ast.AST
    total: str
    loader: str
    added: Added
    what: Literal["loss", "accuracy"]
    by: Literal["batches", "pictures", "other"]
    floors: bool
    target: str


def divisions(script: Script) -> Iterator[Division]:
    """Each division of a loss, or a count of right answers, that was summed up over the batches of a loop."""
    for scope in (script.tree, *script.functions.values()):
        sums = _sums(script, scope)
        for node in inside(scope):
            floors = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.FloorDiv)
            divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            if isinstance(node, Function) or not (floors or divides):
                continue
            assert isinstance(node, ast.BinOp | ast.AugAssign)
            left, right = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
            name = bare(left)
            for total, loader, added, what, loop in sums:
                if total == name and loop not in script.above(node) and not _divided_before(scope, node, name):
                    by = _divisor(script, scope, right, loader)
                    yield Division(node, total, loader, added, what, by, floors, _target(script, node))
                    break


def _divided_before(scope: Scope, node: ast.BinOp | ast.AugAssign, total: str) -> bool:
    """Whether the total is a quotient by then: `total /= n` stands in an earlier line."""
    return any(
        isinstance(n, ast.AugAssign) and isinstance(n.op, ast.Div | ast.FloorDiv) and dotted(n.target) == total
        and n.lineno < node.lineno
        for n in inside(scope)
    )  # fmt: skip


def bare(node: ast.AST) -> str:
    """`running_loss` of `float(running_loss)`, `running_loss.double()` or `running_loss.item()`."""
    while True:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
            node = node.func.value
        elif isinstance(node, ast.Call) and method(node) in ("float", "int") and len(node.args) == 1:
            node = node.args[0]
        else:
            return dotted(node)


_Sum = tuple[str, str, Added, Literal["loss", "accuracy"], ast.For]


def _sums(script: Script, scope: Scope) -> list[_Sum]:
    found: list[_Sum] = []
    for loop in inside(scope):
        if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Tuple | ast.Name):
            continue
        for node in inside(loop):
            if not isinstance(node, ast.AugAssign) or not isinstance(node.op, ast.Add):
                continue
            if next((a for a in script.above(node) if isinstance(a, ast.For)), None) is not loop:
                continue
            name = dotted(node.target)
            last = name.rpartition(".")[2].lower()
            loader = ast.unparse(iterated(loop))
            if last in LOSS_NAMES or any(word in last for word in LOSS_WORDS):
                found.append((name, loader, _loss_added(script, node.value), "loss", loop))
            elif any(word in last for word in RIGHT_WORDS):
                found.append((name, loader, "count" if _counts(node.value) else "", "accuracy", loop))
    return found


def _loss_added(script: Script, node: ast.expr) -> Added:
    """Whether a batch adds the sum over its pictures or their mean; "" where it cannot be told."""
    if isinstance(node, ast.Call) and method(node) == "float" and node.args:
        node = node.args[0]
    if isinstance(node, ast.BinOp):
        times = isinstance(node.op, ast.Mult) and (is_batch_size(node.left) or is_batch_size(node.right))
        return "sum" if times and _loss_added(script, node.left if is_batch_size(node.right) else node.right) else ""
    while isinstance(node, ast.Call) and method(node) in ("item", "detach", "cpu", "sum", "mean") and not node.args:
        if not isinstance(node.func, ast.Attribute):
            return ""
        node = node.func.value
    if isinstance(node, ast.Attribute) and node.attr == "data":
        node = node.value
    if isinstance(node, ast.Name):
        given = script.assigned.get((script.scope(node), node.id), [])
        kinds = {_criterion(script, value, node.id == "loss") for value, place in given if place is None}
        return kinds.pop() if len(kinds) == 1 else ""
    return _criterion(script, node)


def _criterion(script: Script, node: ast.expr, called_loss: bool = False) -> Added:
    """`criterion(outputs, labels)`: the mean, unless a loss of the script is told to sum or not to reduce."""
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return ""
    name = dotted(node.func).lower()
    if not called_loss and not any(word in name for word in ("loss", "crit", "entropy")):
        return ""
    if any(k.arg in ("reduction", "size_average", "reduce") for call in script.calls for k in call.keywords):
        told = [k.value for k in node.keywords if k.arg == "reduction"]
        return "sum" if any(isinstance(v, ast.Constant) and v.value == "sum" for v in told) else ""
    return "" if script.local(node) is not None else "mean"


def is_batch_size(node: ast.expr) -> bool:
    """`inputs.size(0)`, `inputs.shape[0]`, `len(inputs)` or a name of that meaning."""
    if isinstance(node, ast.Call):
        return method(node) in ("size", "len") and len(node.args) == 1
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Attribute) and node.value.attr == "shape"
    return dotted(node).rpartition(".")[2] in ("batch_size", "bs", "n_batch", "batch_len")


def _counts(node: ast.expr) -> bool:
    """Whether a batch adds the number of its right answers: a sum over a comparison, no mean."""
    calls = {method(child) for child in ast.walk(node)}
    compares = any(isinstance(child, ast.Compare) for child in ast.walk(node)) or bool(calls & {"eq", "equal"})
    return "sum" in calls and compares and not calls & {"mean", "len", "size"}


def _divisor(script: Script, scope: Scope, node: ast.expr, loader: str) -> Literal["batches", "pictures", "other"]:
    if isinstance(node, ast.Call) and method(node) == "float" and node.args:
        node = node.args[0]
    if isinstance(node, ast.Name):
        given = script.assigned.get((scope, node.id), [])
        counted = any(
            isinstance(n, ast.AugAssign) and dotted(n.target) == node.id and is_batch_size(n.value)
            for n in inside(scope)
        )
        if counted:
            return "pictures"
        node = given[0][0] if len(given) == 1 and given[0][1] is None else node
    if isinstance(node, ast.Call) and dotted(node.func) == "len" and len(node.args) == 1:
        of = node.args[0]
        if ast.unparse(of) == loader:
            return "batches"
        if isinstance(of, ast.Attribute) and of.attr == "dataset":
            return "pictures"
    return "other"


def _target(script: Script, node: ast.AST) -> str:
    """The name that the quotient goes to; "" where it is used in place."""
    if isinstance(node, ast.AugAssign):
        return dotted(node.target)
    parent = script.parents.get(node)
    return dotted(parent.targets[0]) if isinstance(parent, ast.Assign) and len(parent.targets) == 1 else ""
