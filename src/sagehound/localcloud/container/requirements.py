"""requirements.txt of shipped code: installed once into an environment on top of the container's own, then reused."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

_PASSED = ("PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PASSED_PREFIXES = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_MAKE = """
import sys, sysconfig, venv
from pathlib import Path
folder = Path(sys.argv[1])
venv.EnvBuilder(system_site_packages=True, clear=True, symlinks=True).create(folder)
library = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
below = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
# After the environment's own packages and before the system's: what the image has counts as installed.
(library / "container.pth").write_text("\\n".join(below) + "\\n")
"""
_locks: dict[Path, asyncio.Lock] = {}


class InstallError(Exception):
    """The requirements cannot be installed; the text is what FailureReason says."""


async def environment(requirements: Path, python: str, folder: Path, say: Callable[[str], None]) -> str:
    """The python of an environment that has the packages of `requirements` beside those of `python`.

    Environments lie below `folder` by the content of the file, so a job with the same requirements starts at once.
    Every line of the installer goes to `say`. Cancelling ends the installer.
    """
    place = folder / await asyncio.to_thread(_fingerprint, requirements, python)
    async with _locks.setdefault(place, asyncio.Lock()):
        made = place / "bin" / "python"
        if (place / "complete").exists():
            return str(made)
        folder.mkdir(parents=True, exist_ok=True)
        await _run([python, "-I", "-c", _MAKE, str(place)], requirements.parent, say)
        install = [python, "-m", "pip", "--python", str(made), "install", "--no-input", "--disable-pip-version-check"]
        say(f"Installing dependencies from requirements.txt: {shlex.join(install)} -r requirements.txt")
        try:
            await _run([*install, "-r", requirements.name], requirements.parent, say)
        except InstallError:
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
            raise
        (place / "complete").touch()
        return str(made)


def _fingerprint(requirements: Path, python: str) -> str:
    """A name for what will be installed; files that the requirements may refer to count in."""
    digest = hashlib.sha256(f"{python}\n".encode() + requirements.read_bytes())
    lines = [line.strip() for line in requirements.read_text(errors="replace").splitlines()]
    if any(line.startswith((".", "/", "-r", "-c", "-e", "--req", "--con", "--ed", "file:")) for line in lines):
        for path in sorted(requirements.parent.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(requirements.parent)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:24]


async def _run(command: list[str], cwd: Path, say: Callable[[str], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=_installer_environment(),
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
            f'AlgorithmError: InstallRequirementsError:\nExitCode {code}\nErrorMessage "{said}"\n'
            f'Command "{" ".join(command)[:200]}", exit code: {code}'
        )


def _installer_environment() -> dict[str, str]:
    """What the installer needs of the server's environment: where packages come from, and through which proxy."""
    found = {name: value for name, value in os.environ.items() if name in _PASSED}
    found.update({name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED_PREFIXES)})
    return {**found, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
