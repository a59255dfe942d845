"""#cloud-config as steps of the first boot: write_files and runcmd; every other key is refused by its name."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]

from sagehound.localcloud.instances.boot_spec import Write
from sagehound.localcloud.instances.user_data import SIZE_LIMIT, unzipped

RUNCMD_SCRIPT = "runcmd"
UNDERSTOOD = ("write_files", "runcmd", "bootcmd")
NOT_YAML = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What the YAML reader raises for what is none: dates that are no dates, tags on what they do not fit ..."""


class NotUnderstood(ValueError):
    """A #cloud-config that is wrong; the text says where."""


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def read(content: bytes) -> dict[str, Any]:
    """The mapping of a #cloud-config. NotUnderstood when it is none."""
    try:
        found = yaml.safe_load(content)
    except RecursionError as error:
        raise NotUnderstood("it is not readable: it is nested too deeply") from error
    except NOT_YAML as error:
        raise NotUnderstood(f"it is not YAML: {' '.join(str(error).split()) or type(error).__name__}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise NotUnderstood(f"it is a {type(found).__name__}, not a mapping")
    return {str(name): value for name, value in found.items()}


def refused(config: dict[str, Any]) -> list[str]:
    """The keys that have no effect here."""
    return sorted(set(config) - set(UNDERSTOOD))


def commands(config: dict[str, Any], key: str) -> bytes | None:
    """The commands of `runcmd` or `bootcmd` as one shell script, as cloud-init makes it; None when there are none."""
    given = config.get(key)
    if not given:
        return None
    if not isinstance(given, list):
        raise NotUnderstood(f"{key} is a {type(given).__name__}, not a list")
    return ("#!/bin/sh\n" + "".join(f"{_command(key, one)}\n" for one in given)).encode()


def _command(key: str, one: Any) -> str:
    if isinstance(one, str):
        return one
    if isinstance(one, list) and not any(isinstance(word, list | dict) for word in one):
        return " ".join(shlex.quote(str(word)) for word in one)
    raise NotUnderstood(f"{key} holds a {type(one).__name__}: commands are texts or lists of words")


def writes(config: dict[str, Any]) -> Iterator[Write]:
    """The files of `write_files`."""
    given = config.get("write_files") or []
    if not isinstance(given, list):
        raise NotUnderstood(f"write_files is a {type(given).__name__}, not a list")
    left = SIZE_LIMIT
    for entry in given:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise NotUnderstood("write_files has an entry without a path")
        if "source" in entry:
            raise NotUnderstood(f"write_files: {entry['path']} has a source, which the local cloud does not fetch")
        content = _content(entry, left)
        left -= len(content)
        yield Write(
            path=entry["path"],
            content=encoded(content),
            mode=_mode(entry),
            owner=str(_one(entry, "owner", "root:root")),
            append=bool(entry.get("append", False)),
        )


def _one(entry: dict[str, Any], key: str, default: str) -> Any:
    """A member that is one value, and not a collection of them."""
    found = entry.get(key, default)
    if isinstance(found, list | dict):
        raise NotUnderstood(f"write_files: {entry['path']} has a {type(found).__name__} as its {key}")
    return found


def _content(entry: dict[str, Any], limit: int) -> bytes:
    raw = _one(entry, "content", "")
    data = raw if isinstance(raw, bytes) else str(raw).encode()
    match str(_one(entry, "encoding", "text/plain")).lower():
        case "text/plain" | "":
            found = data
        case "b64" | "base64":
            found = base64.b64decode(data)
        case "gz" | "gzip":
            found = unzipped(data, limit)
        case "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64":
            found = unzipped(base64.b64decode(data), limit)
        case other:
            raise NotUnderstood(f"write_files: {entry['path']} has the encoding {other!r}")
    if len(found) > limit:
        raise NotUnderstood(f"write_files holds more than {SIZE_LIMIT} bytes")
    return found


def _mode(entry: dict[str, Any]) -> int:
    given = _one(entry, "permissions", "0644")
    try:
        return given if isinstance(given, int) else int(str(given), 8)
    except ValueError as error:
        raise NotUnderstood(f"write_files: {entry['path']} has the permissions {given!r}") from error
