"""Entry points as a training container starts them: flat beside the package, told by SM_* variables."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import sagehound

ENTRY_POINTS = Path(sagehound.__file__).parent / "classifier" / "entry_points"


@dataclass(frozen=True)
class Finished:
    returncode: int
    output: str
    errors: str


def environment(**variables: object) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    source = str(Path(sagehound.__file__).parents[1])
    return kept | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"} | {k: str(v) for k, v in variables.items()}


def start(name: str, *arguments: str, **variables: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(ENTRY_POINTS / name), *arguments]
    return subprocess.Popen(
        command, env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(name: str, *arguments: str, **variables: object) -> Finished:
    process = start(name, *arguments, **variables)
    output, errors = process.communicate(timeout=240)
    return Finished(process.returncode, output, errors)
