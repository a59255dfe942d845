"""requirements.txt and setup.py of shipped code: installed once into an environment on top of the container's own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from sagehound.localcloud.container import installer, own_python

_FORM = "3"
"""Of the environments: those of another form are made anew."""
_PARTS = (".", "/", "-r", "-c", "-e", "--req", "--con", "--ed", "file:")
_PASSING = re.compile(r"build|__pycache__|.*\.egg-info")
"""What an installation leaves in the folder of a package."""
_locks: dict[Path, asyncio.Lock] = {}


class InstallError(Exception):
    """The requirements cannot be installed; the text is what FailureReason says."""


async def environment(
    requirements: Path, python: str, folder: Path, say: Callable[[str], None], *, package: bool = False
) -> str:
    """The python of an environment that has the packages of `requirements` beside those of `python`.

    With `package` also the package of the setup.py beside it, and `requirements` need not be there. Environments lie
    below `folder` by the content of what they install, so a job with the same requirements starts at once. Every line
    of the installer goes to `say`. Cancelling ends the installer.
    """
    below = await _interpreter(python)
    place = folder / await asyncio.to_thread(_fingerprint, requirements, below, package)
    async with _locks.setdefault(place, asyncio.Lock()):
        made = place / "bin" / "python"
        if made.exists():
            return str(made)
        place.unlink(missing_ok=True)
        new = await asyncio.to_thread(_begin, place, below)
        install = _command(str(new / "bin" / "python"), requirements, package, below)
        if package:
            say(f"Installing module with the following command:\n{shlex.join(install)}")
        else:
            say(f"Installing dependencies from requirements.txt: {shlex.join(install)}")
        try:
            await _run(install, requirements.parent, say, "Module" if package else "Requirements")
        except InstallError:
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
            raise
        place.symlink_to(new.name)
        return str(made)


def _begin(place: Path, below: own_python.Interpreter) -> Path:
    """An environment with nothing in it yet, under a name of its own: `place` leads there once all is installed.

    The installer of a server that was killed may go on for a while, in the folder that it was given.
    """
    for left in place.parent.glob(f"{place.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    new = place.with_name(f"{place.name}-{secrets.token_hex(4)}")
    own_python.make(new, below, place.parent)
    return new


async def _interpreter(python: str) -> own_python.Interpreter:
    try:
        return await own_python.interpreter(python)
    except own_python.PythonError as error:
        raise InstallError(f"ClientError: {error}") from error


def _command(made: str, requirements: Path, package: bool, below: own_python.Interpreter) -> list[str]:
    command = [made, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    if package:
        if below.setuptools and not (requirements.parent / "pyproject.toml").exists():
            command.append("--no-build-isolation")  # a setup.py needs setuptools only: the one that is there
        command.append(".")
    return [*command, "-r", requirements.name] if requirements.is_file() else command


def _fingerprint(requirements: Path, below: own_python.Interpreter, package: bool) -> str:
    """A name for what will be installed; files that the requirements may refer to count in.

    So does the interpreter's version: under another one nothing that was installed would be found.
    """
    digest = hashlib.sha256(f"{_FORM}\n{below.executable}\n{below.base}\n{below.version}\n{package}\n".encode())
    whole = package
    if requirements.is_file():
        digest.update(requirements.read_bytes())
        lines = [line.strip() for line in requirements.read_text(errors="replace").splitlines()]
        whole = whole or any(_refers(line, requirements.parent) for line in lines)
    if whole:
        for path in sorted(requirements.parent.rglob("*")):
            name = path.relative_to(requirements.parent)
            if path.is_file() and not any(map(_PASSING.fullmatch, name.parts)):
                digest.update(os.fsencode(name) + b"\n" + path.read_bytes())
    return digest.hexdigest()[:24]


def _refers(line: str, folder: Path) -> bool:
    """Whether a line of requirements.txt may lead to a file beside it: `wheels/dogs-1.0.whl`, `-f wheels`."""
    return line.startswith(_PARTS) or any(os.path.exists(folder / word) for word in re.split(r"[\s=@]+", line) if word)


async def _run(command: list[str], cwd: Path, say: Callable[[str], None], what: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=installer.environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    words: list[str] = []
    try:
        async for line in process.stdout:
            words.append(line.decode(errors="replace").rstrip())
            say(words[-1])
        code = await process.wait()
    except asyncio.CancelledError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if code != 0:
        said = "\n".join([line for line in words if line.startswith("ERROR")] or words[-5:])[:600]
        raise InstallError(
            f'AlgorithmError: Install{what}Error:\nExitCode {code}\nErrorMessage "{said}"\n'
            f'Command "{" ".join(command)[:200]}", exit code: {code}'
        )
