"""The commands for pretrained weights that scripts download: weights add, list, remove."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from sagehound.cli.options import DataDirOption, JsonOption, data_dir_of
from sagehound.cli.telling import telling
from sagehound.errors import StepFailed

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Pretrained weights that scripts download from download.pytorch.org: add, list, remove.",
)
_DIGEST = re.compile(r"-([a-f0-9]{8,64})\.")
"""As in torch.hub: the beginning of the content's SHA-256."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def folder_of(data_dir: Path) -> Path:
    """Where the files lie: as in torch's own cache, so that it is TORCH_HOME too."""
    return data_dir / "weights" / "hub" / "checkpoints"


@app.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(help="Files of weights, by the names that scripts download.")],
    name: Annotated[
        str, typer.Option("--name", help="The name that scripts download, where the file has another.", metavar="NAME")
    ] = "",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy weights into the local cloud, for scripts that download them (resnet50-0676ba61.pth ...)."""
    with telling(as_json) as reporter:
        folder = folder_of(data_dir_of(data_dir))
        if name and len(files) > 1:
            raise StepFailed("weights", f"--name {name} is one name for {len(files)} files", "Add them one by one.")
        for path in files:
            with reporter.step("weights") as step:
                target = folder / _checked(name or path.name)
                if not path.is_file():
                    raise StepFailed("weights", f"there is no file {path}", "Name a file of weights.")
                digest = _copy(path, target)
                size = target.stat().st_size
                step.done(f"{target.name}  {size / 1e6:,.1f} MB", name=target.name, size=size, sha256=digest)
            told = _told(target.name)
            if told and not digest.startswith(told):
                reporter.note(
                    f"its content's SHA-256 begins with {digest[: len(told)]}, not with {told} as its name says: these "
                    "are other weights than those that scripts know by this name",
                    name=target.name,
                    sha256=digest,
                )


@app.command("list")
def list_(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Show which weights there are."""
    with telling(as_json):
        folder = folder_of(data_dir_of(data_dir))
        found = sorted(path for path in folder.glob("*") if path.is_file() and _NAME.fullmatch(path.name))
        if as_json:
            typer.echo(json.dumps([{"name": path.name, "size": path.stat().st_size} for path in found]))
            return
        for path in found:
            typer.echo(f"{path.stat().st_size / 1e6:10,.1f} MB  {path.name}")
        if not found:
            typer.echo(f"no weights in {folder}; add some: sagehound weights add FILE")


@app.command("remove")
def remove(
    names: Annotated[list[str], typer.Argument(help="Names as `sagehound weights list` shows them.")],
    data_dir: DataDirOption = None,
) -> None:
    """Delete weights from the local cloud."""
    with telling():
        folder = folder_of(data_dir_of(data_dir))
        for name in names:
            path = folder / _checked(name)
            if not path.is_file():
                raise StepFailed("weights", f"there are no weights {name}", "`sagehound weights list` shows which are.")
            path.unlink()
            typer.echo(f"removed {name}")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StepFailed(
            "weights", f"{name} is no name of a file of weights", "Give one such as resnet50-0676ba61.pth."
        )
    return name


def _told(name: str) -> str:
    """The beginning of the digest that a name tells; empty where it tells none."""
    found = _DIGEST.search(name)
    return found[1] if found else ""


def _copy(source: Path, target: Path) -> str:
    """Copy so that the file is there whole or not at all; its content's SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with source.open("rb") as reading, new.open("wb") as writing:
            shutil.copyfileobj(reading, writing, 16 * 1024 * 1024)
        with new.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    return digest
