"""The Python that functions run with: an empty environment with AWS's runtime client and boto3, as in AWS's runtime.

What else is installed beside the cloud is not importable inside: a function that works here finds on AWS what it
imports, or has it in its own code and layers.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PROVIDED = ("awslambdaric", "boto3")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The two folders of it, and what of this machine they lead to."""

    language: Path
    """Becomes /var/lang: bin/python3.X and an empty site-packages."""
    runtime: Path
    """Becomes /var/runtime: the runtime client, boto3 and what they need."""
    needed: tuple[Path, ...]
    """Folders that both point into, which must be visible at their own paths."""


def make(folder: Path) -> Interpreter:
    """Lay out the interpreter below `folder`, again at every start of the cloud."""
    shutil.rmtree(folder, ignore_errors=True)
    language, runtime = folder / "lang", folder / "runtime"
    site_packages = language / "lib" / f"python{VERSION}" / "site-packages"
    for path in (language / "bin", site_packages, runtime):
        path.mkdir(parents=True)
    program = Path(os.path.realpath(sys.executable))
    for name in ("python", "python3", f"python{VERSION}"):
        (language / "bin" / name).symlink_to(program)
    (language / "pyvenv.cfg").write_text(f"home = {program.parent}\ninclude-system-site-packages = false\n")
    # Found first by LD_LIBRARY_PATH, as on AWS: the system may have a library of the same name for another Python.
    for library in Path(sysconfig.get_config_var("LIBDIR") or "/nowhere").glob("libpython*.so*"):
        (language / "lib" / library.name).symlink_to(library)
    packages = _provided_packages()
    for path in packages:
        (runtime / path.name).symlink_to(path)
    prefixes = (Path(os.path.realpath(sys.base_prefix)), program.parent, *sorted({path.parent for path in packages}))
    return Interpreter(language, runtime, tuple(path for path in prefixes if not path.is_relative_to("/usr")))


def _provided_packages() -> list[Path]:
    """The top-level folders and modules of the provided distributions and all that they require."""
    found: dict[str, Path] = {}
    queue, seen = list(PROVIDED), set[str]()
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()}:
            if top not in ("..", "__pycache__") and not top.endswith(".pth"):
                found[top] = Path(os.path.realpath(str(distribution.locate_file(top))))
        for requirement in distribution.requires or ():
            if "extra ==" not in requirement:
                matched = re.match(r"[A-Za-z0-9._-]+", requirement)
                if matched is not None and _is_installed(matched[0]):
                    queue.append(matched[0])
    return sorted(found.values())


def _is_installed(name: str) -> bool:
    """Requirements for other systems or versions are not there, and need not be."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
