"""The code of the function as a zip: the packaged handler or a person's own, the same bytes for the same files.

A zip of the person's own is sent as it is. Where no handler is named it is looked for: `lambda_handler` or `handler`
of a module at the top, or the one function there that takes an event and a context.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import io
import zipfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sagehound.errors import StepFailed
from sagehound.pipeline.code import LEFT_OUT, code_files
from sagehound.pipeline.function_check import Handled, handlers_in, read_handler
from sagehound.settings import FunctionSettings

MOST_BYTES = 50_000_000
"""Of a zip that goes with the call that makes the function."""
OUR_HANDLER = "handler.lambda_handler"
_USUAL = ("lambda_handler", "handler")


@dataclass(frozen=True)
class FunctionCode:
    """A zip, the handler in it, and what was read in its text."""

    content: bytes
    handler: str
    ours: bool
    handled: Handled

    @property
    def sha256(self) -> str:
        """As Lambda says it: base64 of the SHA-256 of the zip."""
        return b64encode(hashlib.sha256(self.content).digest()).decode()


def find_function_code(settings: FunctionSettings) -> FunctionCode:
    """The code that the settings name; raises StepFailed where it is missing, too large, or has no handler."""
    if not settings.source_dir:
        files = _our_files()
        handler = settings.handler or OUR_HANDLER
        return FunctionCode(zip_of(files), handler, True, Handled())
    path = Path(settings.source_dir).expanduser()
    content, sources = _read(path)
    if len(content) > MOST_BYTES:
        raise StepFailed(
            "function",
            f"{path} is {len(content) / 1e6:,.0f} MB as a zip, above {MOST_BYTES / 1e6:,.0f} MB",
            "Leave out what Lambda's Python has (boto3), and models: those belong behind the endpoint.",
        )
    if not settings.runtime.startswith("python") and settings.handler:
        return FunctionCode(content, settings.handler, False, Handled())  # another language, which is not read here
    handler = settings.handler or _find_handler(sources, path)
    module, _, function = handler.rpartition(".")
    name = module.replace(".", "/") + ".py"
    if not function or name not in sources:
        raise StepFailed(
            "function",
            f"handler {handler!r} names no module of {path}: there is no {name}",
            "Write it as MODULE.FUNCTION, as in lambda_function.lambda_handler.",
        )
    shown = str(path) if path.suffix == ".py" else f"{path}: {name}"
    return FunctionCode(content, handler, False, read_handler(sources[name], shown, function))


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """A zip without times or owners that differ from one machine or run to the next."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16  # Lambda's user must be able to read it
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
    return out.getvalue()


def _our_files() -> dict[str, bytes]:
    folder = importlib.resources.files("sagehound.pipeline.function_source")
    return {
        item.name: item.read_bytes()
        for item in folder.iterdir()
        if item.name.endswith(".py") and item.name != "__init__.py"
    }


def _read(path: Path) -> tuple[bytes, dict[str, str]]:
    """The zip of a file, folder or zip, and the text of its Python modules."""
    try:
        if path.is_dir():
            found = code_files(path)
            # A worktree's .git is a file, and says where on this machine the repository lies.
            files = {name: file.read_bytes() for name, file in found.items() if file.name not in LEFT_OUT}
            if not files:
                raise StepFailed("function", f"{path} is empty", "Name the folder that holds your handler.")
            return zip_of(files), _texts(files)
        content = path.read_bytes()
    except FileNotFoundError as error:
        hint = "Name a .py, a .zip or a folder with --entry-point or function.source_dir."
        raise StepFailed("function", f"{path} does not exist", hint) from error
    if path.suffix == ".py":
        return zip_of({path.name: content}), _texts({path.name: content})
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            modules = {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}
    except (zipfile.BadZipFile, RuntimeError, OSError) as error:
        raise StepFailed("function", f"{path} is no zip: {error}", "Name a .py, a .zip or a folder.") from error
    return content, _texts(modules)


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: content.decode("utf-8", "replace") for name, content in files.items() if name.endswith(".py")}


def _find_handler(sources: Mapping[str, str], path: Path) -> str:
    """MODULE.FUNCTION of the one handler at the top of the zip."""
    found = [
        (name.removesuffix(".py"), function)
        for name, source in sorted(sources.items())
        if "/" not in name
        for function in handlers_in(source)
    ]
    for usual in _USUAL:
        named = [(module, function) for module, function in found if function == usual]
        if named:
            found = named
            break
    if len(found) == 1:
        return ".".join(found[0])
    said = "several functions could be" if found else "no function at the top of it could be"
    names = ": " + ", ".join(".".join(one) for one in found) if found else ""
    raise StepFailed(
        "function",
        f"{path}: {said} the handler{names}",
        "Say which with --handler MODULE.FUNCTION (a function of an event and a context).",
    )
