"""How far a notebook instance has come, in a file: what runs inside writes it, the cloud reads it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

STATE_FILE, PORT_FILE, KEY_FILE, USED_FOLDER = "state.json", "port", "link-key", "links-used"
MISSING = 3
"""Exit code of jupyter.py in a Python that has no JupyterLab."""


def read(folder: Path) -> dict[str, Any]:
    """{"done": [hooks], "failed": {"what": hook or "jupyter", "why": "code" | "time" | "missing", "code": N}}."""
    try:
        found = json.loads((folder / STATE_FILE).read_bytes())
    except FileNotFoundError:
        return {}
    return dict(found)


def write(folder: Path, state: dict[str, Any]) -> None:
    """Replace it: it is there whole or not at all."""
    new = folder / f"{STATE_FILE}.new"
    new.write_text(json.dumps(state))
    os.replace(new, folder / STATE_FILE)
