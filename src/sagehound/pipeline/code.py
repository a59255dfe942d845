"""The code that a job runs: one of our entry points, or a script of the person's own, as the archive that is shipped.

An entry point is ours when it has the bare name of one of ours and no `source_dir` is given; anything else is a
path: inside `source_dir`, whose files are all shipped, or of the one file that is shipped alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sagehound.errors import StepFailed
from sagehound.pipeline.bundle import Bundle, build_bundle, bundle_of
from sagehound.pipeline.intake.named import listed
from sagehound.pipeline.place import Place
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.script_check import check_script

OUR_ENTRY_POINTS = ("hpo.py", "train_model.py", "extract_features.py")
MOST_BYTES = 100 * 1024 * 1024
"""Of a source_dir, unpacked: it is sent for every change, and each host of each trial unpacks it."""
MOST_FILES = 10_000
LEFT_OUT = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".venv", ".mypy_cache", ".ruff_cache"})


@dataclass(frozen=True)
class Code:
    """A program and the bundle that holds it; ``path`` is the person's own file, None for ours."""

    program: str
    bundle: Bundle
    path: Path | None = None

    @property
    def ours(self) -> bool:
        """Whether the program is one of our entry points."""
        return self.path is None


def is_ours(entry_point: str, source_dir: str) -> bool:
    """Whether these settings name one of our entry points."""
    return not source_dir and entry_point in OUR_ENTRY_POINTS


def find_code(entry_point: str, source_dir: str, step: str, place: Place) -> Code:
    """The code that the settings name; raises StepFailed where it is missing, too large, or no file.

    Where containers install requirements.txt first, ours is added; a person's own lies in their source_dir.
    """
    if is_ours(entry_point, source_dir):
        return Code(entry_point, build_bundle(with_requirements=place.installs_requirements))
    if not source_dir:
        path = Path(entry_point).expanduser()
        _check_file(path, step, f"our entry points are {', '.join(OUR_ENTRY_POINTS)}")
        return Code(path.name, bundle_of({path.name: path.read_bytes()}), path)
    folder = Path(source_dir).expanduser()
    if not folder.is_dir():
        raise StepFailed(step, f"source_dir {source_dir} is no folder", "Name the folder that holds your script.")
    path = folder / entry_point
    _check_file(path, step, f"entry_point is a path inside source_dir {source_dir}")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StepFailed(step, f"entry_point {entry_point} lies outside source_dir {source_dir}", "Move it inside.")
    files = _files(folder, source_dir, step)
    return Code(
        Path(entry_point).as_posix(), bundle_of({name: file.read_bytes() for name, file in files.items()}), path
    )


def warn_of_script(
    code: Code,
    reporter: Reporter,
    *,
    instance_type: str,
    instance_count: int,
    distribution: str,
    objective_regex: str,
    tuned: Sequence[str] = (),
) -> None:
    """Tell what is suspicious in a person's own script, each as a note with file and line; ours needs no check.

    ``tuned`` are the hyperparameters that a search gives it.
    """
    if code.path is None or code.path.suffix != ".py":
        return
    source = code.path.read_text(encoding="utf-8", errors="replace")
    for warning in check_script(
        source,
        instance_type=instance_type,
        instance_count=instance_count,
        distribution=distribution,
        objective_regex=objective_regex,
        tuned=tuned,
    ):
        reporter.note(
            f"{code.path}:{warning.line}: {warning.text} {warning.advice}",
            code=warning.code,
            file=str(code.path),
            line=warning.line,
            advice=warning.advice,
        )


def _check_file(path: Path, step: str, hint: str) -> None:
    if not path.is_file():
        raise StepFailed(step, f"the entry point {path} does not exist", f"Check entry_point: {hint}.")
    if path.stat().st_size > MOST_BYTES:
        raise StepFailed(step, f"the entry point {path} is too large for a script", "Name the script itself.")


def code_files(folder: Path) -> dict[str, Path]:
    """Path in the archive -> file, of everything below a folder that is code or lies beside it."""
    found: dict[str, Path] = {}
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for file in sorted(files):
            path = Path(place) / file
            if path.is_file() and path.suffix != ".pyc":
                found[path.relative_to(folder).as_posix()] = path
    return found


def _files(folder: Path, named: str, step: str) -> dict[str, Path]:
    """The same of a source_dir; raises StepFailed where it is too much."""
    found = code_files(folder)
    total = sum(path.stat().st_size for path in found.values())
    if total > MOST_BYTES or len(found) > MOST_FILES:
        raise StepFailed(
            step,
            f"source_dir {named} holds {len(found):,} files and {total / 1e6:,.0f} MB, above {MOST_FILES:,} files or "
            f"{MOST_BYTES / 1e6:,.0f} MB: {listed(_largest(found))}",
            "Keep code only in it: data travel in a channel (`sagehound upload`).",
        )
    return found


def _largest(found: dict[str, Path]) -> Sequence[str]:
    sizes = sorted(((path.stat().st_size, name) for name, path in found.items()), reverse=True)
    return [f"{name} ({size / 1e6:,.1f} MB)" for size, name in sizes]
