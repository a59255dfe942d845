"""Writes the tree in README.md: every file of the package with the first sentence of its own docstring."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sagehound"
BEGIN, END = "<!-- tree: written by tools/write_tree.py -->\n```\n", "```\n<!-- end of tree -->"


def phrase(path: Path) -> str:
    """What the file says of itself, up to the first full stop, colon or line break."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = text.split("\n", 1)[0]
    return first.split(". ", 1)[0].rstrip(".")


def tree(folder: Path = PACKAGE, depth: int = 0) -> list[str]:
    """The lines below `folder`: files first, then folders, both by name."""
    lines = []
    entries = sorted(folder.iterdir(), key=lambda each: (each.is_dir(), each.name))
    for entry in entries:
        indent = "  " * depth
        if entry.is_dir() and entry.name not in ("__pycache__", "pictures"):
            about = entry / "__init__.py"
            said = phrase(about) if about.exists() else ""
            lines += [f"{indent}{entry.name}/".ljust(34) + said, *tree(entry, depth + 1)]
        elif entry.suffix == ".py" and entry.name != "__init__.py":
            lines.append(f"{indent}{entry.name}".ljust(34) + phrase(entry))
    return [line.rstrip() for line in lines]


def readme(text: str) -> str:
    """`text` with its tree replaced by the present one; ValueError when the markers are missing."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("README.md has no tree markers")
    return before + BEGIN + "\n".join(["src/sagehound/", *tree(depth=1)]) + "\n" + END + after


if __name__ == "__main__":
    path = ROOT / "README.md"
    current = path.read_text()
    written = readme(current)
    if "--check" in sys.argv:
        sys.exit(0 if current == written else "README.md: the tree is out of date; run python -m tools.write_tree")
    path.write_text(written)
