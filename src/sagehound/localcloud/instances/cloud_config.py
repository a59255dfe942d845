"""#cloud-config as steps of the first boot: write_files and runcmd; every other key is refused by its name."""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]

from sagehound.localcloud.instances.boot_spec import Write

RUNCMD_SCRIPT = "runcmd"
UNDERSTOOD = ("write_files", "runcmd", "bootcmd")


class NotUnderstood(ValueError):
    """A #cloud-config that is wrong; the text says where."""


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def read(content: bytes) -> dict[str, Any]:
    """The mapping of a #cloud-config. NotUnderstood when it is none."""
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"it is not YAML: {' '.join(str(error).split())}") from error
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
    if isinstance(one, list):
        return " ".join(shlex.quote(str(word)) for word in one)
    raise NotUnderstood(f"{key} holds a {type(one).__name__}: commands are texts or lists of words")


def writes(config: dict[str, Any]) -> Iterator[Write]:
    """The files of `write_files`."""
    given = config.get("write_files") or []
    if not isinstance(given, list):
        raise NotUnderstood(f"write_files is a {type(given).__name__}, not a list")
    for entry in given:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise NotUnderstood("write_files has an entry without a path")
        yield Write(
            path=entry["path"],
            content=encoded(_content(entry)),
            mode=_mode(entry),
            owner=str(entry.get("owner", "root:root")),
            append=bool(entry.get("append", False)),
        )


def _content(entry: dict[str, Any]) -> bytes:
    raw = entry.get("content", "")
    data = raw if isinstance(raw, bytes) else str(raw).encode()
    match str(entry.get("encoding", "text/plain")).lower():
        case "text/plain" | "":
            return data
        case "b64" | "base64":
            return base64.b64decode(data)
        case "gz" | "gzip":
            return gzip.decompress(data)
        case "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64":
            return gzip.decompress(base64.b64decode(data))
        case other:
            raise NotUnderstood(f"write_files: {entry['path']} has the encoding {other!r}")


def _mode(entry: dict[str, Any]) -> int:
    given = entry.get("permissions", "0644")
    try:
        return given if isinstance(given, int) else int(str(given), 8)
    except ValueError as error:
        raise NotUnderstood(f"write_files: {entry['path']} has the permissions {given!r}") from error
