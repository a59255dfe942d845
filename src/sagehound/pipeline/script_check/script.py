"""A Python script as facts: its calls, loops, functions and what each name was given; nothing of it is ever run"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Module
Function = (ast.FunctionDef, ast.AsyncFunctionDef)

# Packages that neither print our objective, nor move tensors, nor distribute a training by themselves. A script that
# imports anything else (a module of its own, a trainer library) may do there what is missing here.
PLAIN_PACKAGES = {"torch", "torchvision", "timm", "numpy", "scipy", "sklearn", "pandas", "PIL", "cv2", "matplotlib"}
PLAIN_PACKAGES |= {"boto3", "botocore", "s3fs", "awsio", "sagemaker", "sagemaker_training", "smdebug", "seaborn"}
PLAIN_PACKAGES |= {"tqdm", "requests", "torchsummary", "torchinfo", "tensorboardX", "__future__"}


class Script:
    """The parsed source. Raises what `ast.parse` raises: SyntaxError, or ValueError for a string that is no text."""

    def __init__(self, source: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a stranger's string is no business of this terminal
            self.tree = ast.parse(source.removeprefix("\ufeff"))
        self.nodes = list(ast.walk(self.tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.functions = {node.name: node for node in self.nodes if isinstance(node, Function)}
        self.calls = sorted((n for n in self.nodes if isinstance(n, ast.Call)), key=lambda c: (c.lineno, c.col_offset))
        self.loops = [node for node in self.nodes if isinstance(node, ast.For)]
        self.aliases: dict[str, str] = {}
        self.packages: set[str] = set()
        self._read_imports()
        self.assigned: dict[tuple[Scope, str], list[tuple[ast.expr, int | None]]] = {}
        self._read_assignments()

    def _read_imports(self) -> None:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for name in node.names:
                    self.packages.add(name.name.split(".")[0])
                    self.aliases[name.asname or name.name.split(".")[0]] = (
                        name.name if name.asname else name.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                self.packages.add("." if node.level else (node.module or "").split(".")[0])
                for name in node.names:
                    self.aliases[name.asname or name.name] = f"{node.module}.{name.name}"

    def _read_assignments(self) -> None:
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                self._assign(node.target, node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for index, element in enumerate(target.elts):
                one_by_one = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
                given = value.elts[index] if one_by_one and isinstance(value, ast.Tuple) else value
                self._note(element, given, None if one_by_one else index)
        else:
            self._note(target, value, None)

    def _note(self, target: ast.expr, value: ast.expr, index: int | None) -> None:
        name = dotted(target)
        if name:
            scope = self.scope(target) if isinstance(target, ast.Name) else self.tree
            self.assigned.setdefault((scope, name), []).append((value, index))

    @property
    def stands_alone(self) -> bool:
        """Whether what is not in this file is nowhere: it imports no module of its own and no trainer library."""
        return all(package in PLAIN_PACKAGES or package in sys.stdlib_module_names for package in self.packages)

    def scope(self, node: ast.AST) -> Scope:
        """The function that a node stands in, or the module."""
        at = self.parents.get(node)
        while at is not None and not isinstance(at, Function):
            at = self.parents.get(at)
        return at if isinstance(at, Function) else self.tree

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node stands in, from the inside out, up to the function's own body."""
        at = self.parents.get(node)
        while at is not None and not isinstance(at, (*Function, ast.Module)):
            yield at
            at = self.parents.get(at)

    def values(self, node: ast.Name) -> list[tuple[ast.expr, int | None]]:
        """What was assigned to a name in its function, otherwise in the module; with the place in a tuple."""
        return self.assigned.get((self.scope(node), node.id)) or self.assigned.get((self.tree, node.id), [])

    def value(self, node: ast.expr) -> ast.expr:
        """The expression itself, or what its name was assigned, where that happened once."""
        if isinstance(node, ast.Name):
            given = self.values(node)
            if len(given) == 1 and given[0][1] is None:
                return given[0][0]
        return node

    def full_name(self, node: ast.expr) -> str:
        """`F.nll_loss` as `torch.nn.functional.nll_loss`, by the imports; "" where the node is no dotted name."""
        first, dot, rest = dotted(node).partition(".")
        return self.aliases.get(first, first) + dot + rest

    def local(self, call: ast.Call) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function of this script that a call calls."""
        name = dotted(call.func)
        return self.functions.get(name.removeprefix("self.")) if name.count(".") <= name.startswith("self.") else None

    def strings(self) -> Iterator[tuple[str, int]]:
        """Every string of the code (docstrings left out) with its line."""
        for node in self.nodes:
            text = isinstance(node, ast.Constant) and not isinstance(self.parents.get(node), ast.Expr)
            if text and isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value, node.lineno

    def says(self, word: str) -> bool:
        """Whether a name, an attribute or a string of the code holds this word (lower case)."""
        return any(word in text.lower() for text, _ in self.strings()) or any(
            word in name.lower() for node in self.nodes for name in names_in(node)
        )


def names_in(node: ast.AST) -> tuple[str, ...]:
    """The identifiers that one node itself holds."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (node.attr,)
    if isinstance(node, ast.keyword | ast.arg):
        return (node.arg or "",)
    return ()


def dotted(node: ast.AST) -> str:
    """`models.resnet50` for the expression of that name; "" for anything that is no plain dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def method(call: ast.AST) -> str:
    """The last name of what is called: `backward` of `loss.backward()`, also after other calls."""
    if not isinstance(call, ast.Call):
        return ""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, without the functions defined in it."""
    stack = [node]
    while stack:
        at = stack.pop()
        yield at
        stack.extend(child for child in ast.iter_child_nodes(at) if not isinstance(child, (*Function, ast.Lambda)))


def does(node: ast.AST, *names: str) -> bool:
    """Whether something in this node calls one of these methods or functions."""
    return any(method(child) in names for child in inside(node))


def iterated(loop: ast.For) -> ast.expr:
    """What a loop goes over, out of enumerate(), tqdm() and iter()."""
    node = loop.iter
    while isinstance(node, ast.Call) and method(node) in ("enumerate", "tqdm", "iter", "trange") and node.args:
        node = node.args[0]
    return node
