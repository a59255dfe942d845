"""A python of a job's own: what its code installs lies there and goes with it, on top of the packages that it finds

It is what `python -m venv` makes, written here in a millisecond, with two differences. It also has the packages of the
interpreter below, which may be a virtual environment itself. And programs of the interpreter below (torchrun) run with
it, so whatever they start installs here too, and never in the person's own environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagehound.localcloud.container import installer

_SHIM = Path(__file__).with_name("torchvision_shim.py")
_FACTS = """
import importlib.util, json, os, re, site, sys, sysconfig
def folder(name):
    spec = importlib.util.find_spec(name)
    return os.path.dirname(spec.origin) if spec and spec.origin else ""
def torch():
    path = os.path.join(folder("torch"), "version.py")
    found = os.path.isfile(path) and re.search("__version__ = '([^']+)'", open(path).read())
    return found.group(1) if found else ""
def bundled():
    folders = [os.path.join(folder("ensurepip"), "_bundled"), sysconfig.get_config_var("WHEEL_PKG_DIR") or ""]
    wheels = [os.path.join(f, n) for f in folders if os.path.isdir(f) for n in os.listdir(f) if n.startswith("pip-")]
    return wheels[:1]
sites = [path for path in site.getsitepackages() if os.path.isdir(path)]
if site.ENABLE_USER_SITE and "_container_torchvision" not in sys.modules and os.path.isdir(site.getusersitepackages()):
    sites.insert(0, site.getusersitepackages())
scripts = [os.path.dirname(sys.executable), sysconfig.get_path("scripts")]
scripts = [path for path in sorted(set(scripts), key=scripts.index) if os.path.isdir(path)]
print(json.dumps({
    "executable": sys.executable,
    "base": getattr(sys, "_base_executable", None) or os.path.realpath(sys.executable),
    "prefix": sys.prefix,
    "version": "%d.%d" % sys.version_info[:2],
    "sites": sites if folder("pip") else sites + bundled(),
    "scripts": scripts,
    "torch": torch(),
    "setuptools": bool(folder("setuptools")),
}))
"""
_PATIENCE = 60.0
_BELOW = "sagehound-below"
"""The line of pyvenv.cfg that names the interpreter below."""
_SHEBANG = re.compile(rb"#!\s*(?:/bin/sh\n'''exec' \"?)?(/[^\"\s]*/python[\d.]*)\b")
_OWN = re.compile(r"(?:python|pip)[\d.]*")
"""The programs that every environment has itself."""
_PIP = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'
_START = """
import site, sys
site.PREFIXES = []  # what lies below is named here, as the interpreter below finds it
for folder in {folders!r}:
    site.addsitedir(folder)
sys.path += {archives!r}
import _container_torchvision
"""
_known: dict[str, tuple[list[int], Interpreter]] = {}


class PythonError(Exception):
    """An interpreter that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What an interpreter is and has."""

    executable: str
    base: str
    """What the `python` of a virtual environment leads to."""
    prefix: str
    version: str
    sites: tuple[str, ...]
    """Where its packages lie, in the order of search; pip's own archive where it has no pip."""
    scripts: tuple[str, ...]
    """Where its programs lie, and those of the interpreters below it."""
    torch: str
    """The version of its PyTorch; empty when it has none."""
    setuptools: bool


@dataclass(frozen=True, slots=True)
class OwnPython:
    """An environment that was made, and how a program is given it."""

    python: str
    path: str
    """The folders that come first on the PATH, with colons between."""
    variables: dict[str, str]
    """VIRTUAL_ENV, and the person's settings of pip."""


async def interpreter(python: str) -> Interpreter:
    """What `python` is and has: asked once, and again when packages have come or gone. PythonError when it fails."""
    if python in _known:
        stamps, found = _known[python]
        if stamps == _stamps(found):
            return found
    told = await _ask(python)
    below = _below(Path(told["prefix"]))
    scripts = (*told["scripts"], *((await interpreter(below)).scripts if below else ()))
    found = Interpreter(**{**told, "sites": tuple(told["sites"]), "scripts": scripts})
    _known[python] = _stamps(found), found
    return found


async def _ask(python: str) -> dict[str, Any]:
    try:
        process = await asyncio.create_subprocess_exec(
            *(python, "-c", _FACTS),
            cwd="/",
            env=installer.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise PythonError(f"{python} cannot be run: {error}") from error
    try:
        async with asyncio.timeout(_PATIENCE):
            output, errors = await process.communicate()
    except TimeoutError as error:
        raise PythonError(f"{python} does not answer within {_PATIENCE:g} seconds") from error
    finally:
        if process.returncode is None:
            process.kill()
    lines = output.splitlines()  # of which a sitecustomize may have written some
    if process.returncode != 0 or not lines or not lines[-1].startswith(b"{"):
        said = (errors or output).decode(errors="replace").strip()
        raise PythonError(f"{python} cannot be used: {said[-300:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def make(folder: Path, below: Interpreter, shared: Path) -> OwnPython:
    """Make the environment on top of `below`, in a folder that is not there yet. Blocking, for a millisecond.

    `shared` keeps what all environments of this cloud have in common.
    """
    library = folder / "lib" / f"python{below.version}" / "site-packages"
    library.mkdir(parents=True)
    (folder / "lib64").symlink_to("lib")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(below.base)
    for name in ("python3", f"python{below.version}"):
        (programs / name).symlink_to("python")
    for name in ("pip", "pip3", f"pip{below.version}"):
        (programs / name).write_text(_PIP)
        (programs / name).chmod(0o755)
    settings = Path(below.prefix) / "pip.conf"
    if settings.is_file():
        (folder / "pip.conf").symlink_to(settings)
    folders = [site for site in below.sites if not site.endswith(".whl")]
    archives = [site for site in below.sites if site.endswith(".whl")]
    # Each layer has a module of its own name: of two with one name only the first would be run.
    start = f"_container_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    (library / f"{start}.py").write_text(_START.format(folders=folders, archives=archives))
    shutil.copyfile(_SHIM, library / "_container_torchvision.py")
    (library / "container.pth").write_text(f"import {start}\n")
    # Last: without it this is no environment, and `python` the interpreter that it leads to.
    (folder / "pyvenv.cfg").write_text(
        f"home = {os.path.dirname(below.base)}\ninclude-system-site-packages = true\nversion = {below.version}\n"
        f"{_BELOW} = {below.executable}\n"
    )
    search = [str(programs)]
    for scripts in below.scripts:
        search += [str(commands(Path(scripts), below, shared)), scripts]
    variables = {"VIRTUAL_ENV": str(folder), **installer.settings()}
    return OwnPython(str(programs / "python"), ":".join(dict.fromkeys(search)), variables)


def commands(scripts: Path, interpreter: Interpreter, shared: Path) -> Path:
    """The programs of a folder that are written in Python, such that the first python of the PATH runs them. Blocking.

    Made once, and again when the folder has changed.
    """
    stamp = f"{scripts}:{scripts.stat().st_mtime_ns}:{interpreter.base}"
    target = shared / f"commands-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}"
    if target.is_dir():
        return target
    shared.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="commands-new-", dir=shared))
    pythons = {os.path.realpath(interpreter.base), os.path.realpath(interpreter.executable)}
    for entry in os.scandir(scripts):
        if _OWN.fullmatch(entry.name) or not entry.is_file() or not os.access(entry.path, os.R_OK | os.X_OK):
            continue
        with open(entry.path, "rb") as file:
            shebang = _SHEBANG.match(file.read(512))
        if shebang and os.path.realpath(os.fsdecode(shebang[1])) in pythons:
            path = entry.path.replace("'", "'\\''")
            (new / entry.name).write_text(f"#!/bin/sh\nexec python '{path}' \"$@\"\n")
            (new / entry.name).chmod(0o755)
    new.chmod(0o755)
    try:
        new.rename(target)
    except OSError:
        shutil.rmtree(new)
        if not target.is_dir():  # another job has made it meanwhile
            raise
    return target


def _below(prefix: Path) -> str:
    """The interpreter below an environment that was made here; empty for every other one."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return ""
    named = [line.partition("=")[2].strip() for line in lines if line.startswith(f"{_BELOW} =")]
    return named[0] if named else ""


def _stamps(found: Interpreter) -> list[int]:
    """When packages came to an interpreter, or went; 0 for what is gone."""
    return [os.stat(path).st_mtime_ns if os.path.exists(path) else 0 for path in (found.executable, *found.sites)]
