"""How many threads a request gets: read from the user's source before anything of it is imported.

OpenMP and MKL read their thread counts when they are loaded, so the decision cannot wait for the import.
"""

from __future__ import annotations

import ast
from collections.abc import MutableMapping
from pathlib import Path

FUNCTIONS = frozenset(
    {"pre_model_fn", "model_fn", "model_warmup_fn", "input_fn", "predict_fn", "output_fn", "transform_fn"}
)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def is_thread_safe(program: Path, code_dir: Path) -> bool:
    """Whether the module, or one of the code folder that it imports its functions from, says `THREAD_SAFE = True`."""
    tree = _parse(program)
    if tree is None:
        return False
    if _declares(tree):
        return True
    origins = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and any(alias.name in FUNCTIONS | {"*"} for alias in node.names)
    ]
    return any(_origin_declares(node, code_dir) for node in origins)


def limit_threads(environ: MutableMapping[str, str], cores: int, workers: int) -> None:
    """Share the cores between the workers, unless the container's environment says otherwise."""
    share = str(max(1, cores // workers))
    for name in THREAD_VARIABLES:
        environ.setdefault(name, share)


def _origin_declares(node: ast.ImportFrom, code_dir: Path) -> bool:
    base = code_dir.joinpath(*(node.module or "").split("."))
    trees = (_parse(path) for path in (base.with_suffix(".py"), base / "__init__.py"))
    return any(_declares(tree) for tree in trees if tree is not None)


def _parse(path: Path) -> ast.Module | None:
    """The module's syntax tree; None when it is missing or broken (the import says why, in Python's own words)."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _declares(tree: ast.Module) -> bool:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if not any(isinstance(target, ast.Name) and target.id == "THREAD_SAFE" for target in targets):
            continue
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and value.value is True:
            return True
    return False
