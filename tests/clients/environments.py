"""Virtual environments of clients: one for each list of packages in constraints/, made once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
_TOLD = 30
"""Lines of an installer's last words that the reason of a skip shows."""


def environment(name: str, checkout: Path = CHECKOUT) -> Path:
    """The python of the environment with the packages of constraints/NAME.txt.

    It lies in .venv-clients/ of the checkout under a name made of the list's content and of this python, so a changed
    list is a new environment. Where its packages cannot be had the test skips (which CI takes for a failure).
    """
    packages = checkout / "constraints" / f"{name}.txt"
    identity = f"{sys.version}\n{sysconfig.get_platform()}\n{packages.read_text()}"
    folder = checkout / ".venv-clients" / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    python, complete = folder / "bin" / "python", folder / "complete"
    with _locked(folder.with_suffix(".lock")):
        if not complete.exists():
            _make(folder, python, packages)
            complete.touch()
    return python


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two workers make an environment once: the second waits for the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make(folder: Path, python: Path, packages: Path) -> None:
    uv = Path(sys.prefix) / "bin" / "uv"
    # A list has all that its packages need; the CLI's version 2 needs none of what its package asks for.
    exactly = ["--no-deps"]
    if uv.exists():
        _run([str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        _run([str(uv), "pip", "install", "--quiet", *exactly, "--python", str(python), "--requirements", str(packages)])
    else:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *exactly, "--requirement", str(packages)])


def _run(command: list[str]) -> None:
    given = dict(os.environ)
    # uv does not read PIP_FIND_LINKS: both installers find the same wheels.
    if "PIP_FIND_LINKS" in given:
        given.setdefault("UV_FIND_LINKS", given["PIP_FIND_LINKS"])
    ended = subprocess.run(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ended.returncode != 0:
        last = "\n".join(ended.stdout.splitlines()[-_TOLD:])
        pytest.skip(
            f"the clients' packages cannot be had here: {' '.join(command)} ended with {ended.returncode}:\n{last}"
        )
