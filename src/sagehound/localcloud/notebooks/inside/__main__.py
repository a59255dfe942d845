"""Starts a program of this folder by path, leaving nothing of ours where the user's imports could meet it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

_NAME = "_sagehound_notebook"


def _load() -> None:
    """Make this folder importable as a package of a private name, so that its modules import one another relatively."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).parent)]
    _load()
    sys.exit(importlib.import_module(f"{_NAME}.{sys.argv[1]}").main(sys.argv[2:]))
