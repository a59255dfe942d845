"""The metadata tree: nested mappings as the texts and listings that the metadata service answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Tree: TypeAlias = Mapping[str, "Tree | str"]


def lookup(tree: Tree, path: str) -> str | None:
    """The text at `path` (`a/b`), or the names below it, those of folders with a slash; None when nothing is there."""
    found: Tree | str = tree
    for name in path.strip("/").split("/") if path.strip("/") else ():
        if isinstance(found, str) or name not in found:
            return None
        found = found[name]
    return found if isinstance(found, str) else listing(found)


def listing(folder: Tree) -> str:
    """One name a line, in order."""
    return "\n".join(sorted(name if isinstance(value, str) else f"{name}/" for name, value in folder.items()))


def merged(*listings: str | None) -> str | None:
    """Several listings of one folder as one; None when it is in none of them."""
    given = [text for text in listings if text is not None]
    names = {name for text in given for name in text.split("\n") if name}
    return "\n".join(sorted(names)) if given else None
