"""Packages that can be installed without a network and without a build tool."""

from __future__ import annotations

import zipfile
from pathlib import Path


def wheel(folder: Path, name: str, *, value: int = 42, program: str = "") -> Path:
    """A wheel of one module, whose VALUE is `value`; with `program` also a command, which calls its `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"import sys\nVALUE = {value}\ndef main():\n    print(sys.executable)\n")
        about = f"{name}-1.0.dist-info"
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        if program:
            archive.writestr(f"{about}/entry_points.txt", f"[console_scripts]\n{program} = {name}:main\n")
        archive.writestr(f"{about}/RECORD", "")
    return path
