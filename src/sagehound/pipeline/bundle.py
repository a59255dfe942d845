"""The source tree that is shipped to a training job, as one archive with the same bytes for the same code.

Entry points lie flat at the top (that is where SageMaker looks for `sagemaker_program`), the classifier at the
same package path as here, under an empty `sagehound/__init__.py`: imports work in the job as they do at home.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import importlib.resources
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SKIPPED = frozenset({"__pycache__", "py.typed"})


@dataclass(frozen=True)
class Bundle:
    """A gzipped tar and the SHA-256 of its bytes."""

    content: bytes
    digest: str
    members: tuple[str, ...]


def build_bundle(*, with_requirements: bool) -> Bundle:
    """The bundle of the installed package.

    ``with_requirements`` adds a requirements.txt, which AWS's containers install before the script; the local
    cloud runs jobs in an environment that has it all.
    """
    package = Path(str(importlib.resources.files("sagehound")))
    files: dict[str, bytes] = {"sagehound/__init__.py": b""}
    for path in sorted((package / "classifier").rglob("*")):
        name = path.relative_to(package).as_posix()
        if path.is_file() and not _SKIPPED & set(path.parts) and not path.name.endswith(".pyc"):
            files[f"sagehound/{name}"] = path.read_bytes()
    for path in sorted((package / "classifier" / "entry_points").glob("*")):
        if path.is_file() and path.name not in _SKIPPED and path.name != "__init__.py":
            files[path.name] = path.read_bytes()
    if with_requirements:
        files["requirements.txt"] = ("\n".join(container_requirements()) + "\n").encode()
    return bundle_of(files)


def bundle_of(files: Mapping[str, bytes]) -> Bundle:
    """The bundle of these files (path in the archive -> content)."""
    content = _archive(files)
    return Bundle(content, hashlib.sha256(content).hexdigest(), tuple(sorted(files)))


def container_requirements() -> list[str]:
    """What AWS's PyTorch container lacks, from the package's own metadata.

    torch and numpy are there, and stay as they are: the container's other packages were built for its numpy, and the
    classifier runs on both majors. Pillow is there too, perhaps older than what the pictures were checked with.
    """
    needed: list[str] = []
    for requirement in importlib.metadata.requires("sagehound") or []:
        specification, _, marker = requirement.partition(";")
        name = re.split(r"[^A-Za-z0-9._-]", specification.strip(), maxsplit=1)[0].lower()
        for_training = re.search(r"extra\s*==\s*['\"]train['\"]", marker)
        if (for_training and name != "torch") or (not marker and name in ("onnxruntime", "pillow")):
            needed.append(specification.strip())
    return sorted(needed)


def _archive(files: Mapping[str, bytes]) -> bytes:
    """tar.gz without times, owners or compression headers that differ from one machine or run to the next."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(files[name]), 0o644
            archive.addfile(info, io.BytesIO(files[name]))
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=0)
