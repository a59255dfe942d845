"""pipeline.toml: read with every key and type checked, written with every setting's sentence.

Whatever is wrong is said with the file, the field and the way out; `--set KEY=VALUE` on the command line goes
through the same checks.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sagehound.errors import SettingsError
from sagehound.pipeline.search_space import search_space
from sagehound.settings import PipelineSettings

FILE_NAME = "pipeline.toml"
_BARE_KEY = re.compile(r"^[A-Za-z0-9_-]+$")
_TYPE_NAMES = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


def load_settings(path: Path | None, overrides: Sequence[str] = ()) -> PipelineSettings:
    """The settings of ``path`` (None: ./pipeline.toml where it exists, else the defaults), with overrides on top.

    An override is `KEY=VALUE` with a dotted key (`train.epochs=3`); a value that is no TOML is taken as text.
    Raises SettingsError.
    """
    content: dict[str, Any] = {}
    where = str(path or FILE_NAME)
    if path is not None or Path(FILE_NAME).exists():
        content = _read(path or Path(FILE_NAME))
    settings: PipelineSettings = _build(PipelineSettings, content, where, "")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise SettingsError(f"--set {override} has no value", "Write --set KEY=VALUE, as in --set train.epochs=3.")
        settings = _replaced(settings, key.strip().split("."), text.strip(), f"--set {key}", "")
    search_space(settings.tune.ranges)
    return settings


def render_settings(settings: PipelineSettings) -> str:
    """The text of a pipeline.toml with these values and each setting's sentence."""
    lines = ["# Settings of sagehound for one project. Every key may be left out; these are the values then."]
    tables: list[str] = []
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value):
            tables += ["", f"[{item.name}]", *_rendered(value), *_tables_of(value, item.name)]
    return "\n".join([*lines, *_rendered(settings), *tables]) + "\n"


def _rendered(settings: Any) -> list[str]:
    lines: list[str] = []
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value) or isinstance(value, dict):
            continue
        choices = item.metadata["choices"]
        lines.append(f"# {item.metadata['sentence']}" + (f" One of: {', '.join(choices)}." if choices else ""))
        lines.append(f"{item.name} = {_toml(value)}")
    return lines


def _tables_of(settings: Any, name: str) -> list[str]:
    """The settings whose keys are the person's own, each a table below its group's other settings."""
    lines: list[str] = []
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, dict):
            lines += ["", f"# {item.metadata['sentence']}", f"[{name}.{item.name}]"]
            lines += [f"{_key(key)} = {_toml(entry)}" for key, entry in value.items()]
    return lines


def _key(key: str) -> str:
    return key if _BARE_KEY.match(key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist", "Write one with `sagehound init`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", "Check the file.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}", "Texts need quotes; tables look like [train].") from error


def _build(kind: type[Any], content: Mapping[str, Any], where: str, table: str) -> Any:
    """A settings dataclass from a TOML table."""
    types = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in fields:
            raise _unknown(key, fields, where, table)
        nested = types[key]
        if dataclasses.is_dataclass(nested):
            if not isinstance(value, dict):
                raise SettingsError(f"{where}: {key} is a table", f"Write [{key}] and its settings below.")
            values[key] = _build(typing.cast(type[Any], nested), value, where, f"{key}.")
        else:
            values[key] = _checked(value, nested, fields[key], f"{where}: {table}{key}")
    return kind(**values)


def _replaced(settings: Any, keys: list[str], text: str, where: str, table: str) -> Any:
    """``settings`` with one field set from the command line."""
    fields = {item.name: item for item in dataclasses.fields(settings)}
    head = keys[0]
    if head not in fields:
        raise _unknown(head, fields, where, table)
    current = getattr(settings, head)
    if dataclasses.is_dataclass(current):
        if len(keys) == 1:
            raise SettingsError(f"{where} is a table", f"Name one of its settings, as in {head}.NAME=VALUE.")
        return dataclasses.replace(settings, **{head: _replaced(current, keys[1:], text, where, f"{head}.")})
    if isinstance(current, dict) and len(keys) > 1:
        return dataclasses.replace(settings, **{head: _entered(current, keys[1:], _any_value(text), where)})
    if len(keys) > 1:
        raise SettingsError(f"{where} is no setting: {head} has no parts", f"Write --set {head}=VALUE.")
    expected = typing.get_type_hints(type(settings))[head]
    return dataclasses.replace(settings, **{head: _checked(_value(text, expected), expected, fields[head], where)})


def _entered(table: Mapping[str, Any], keys: Sequence[str], value: Any, where: str) -> dict[str, Any]:
    """``table`` with ``value`` at a path of keys; tables on the way are made."""
    if len(keys) == 1:
        return {**table, keys[0]: value}
    below = table.get(keys[0], {})
    if not isinstance(below, dict):
        raise SettingsError(f"{where}: {keys[0]} is {below!r}, which has no parts", f"Give {keys[0]} itself a value.")
    return {**table, keys[0]: _entered(below, keys[1:], value, where)}


def _value(text: str, expected: type[Any]) -> Any:
    if expected is str and not text.startswith(('"', "'")):
        return text
    return _any_value(text)


def _any_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # what checks the setting says what was expected


def _checked(value: Any, expected: type[Any], item: dataclasses.Field[Any], where: str) -> Any:
    if typing.get_origin(expected) is dict:
        if not isinstance(value, dict):
            raise SettingsError(f"{where} is {value!r}, not a table", f"{item.metadata['sentence']}")
        return value
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not expected:
        raise SettingsError(
            f"{where} is {value!r}, not {_TYPE_NAMES[expected]}",
            f"{item.metadata['sentence']} Default: {item.default!r}.",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{where} is {value}, not a finite number", f"{item.metadata['sentence']}")
    choices, minimum = item.metadata["choices"], item.metadata["minimum"]
    if choices and value not in choices:
        raise SettingsError(f"{where} is {value!r}", f"It is one of: {', '.join(one or 'empty' for one in choices)}.")
    if minimum is not None and not value >= minimum:
        raise SettingsError(f"{where} is {value!r}, below {minimum:g}", f"{item.metadata['sentence']}")
    return value


def _unknown(key: str, fields: Mapping[str, Any], where: str, table: str) -> SettingsError:
    close = difflib.get_close_matches(key, fields, n=1)
    hint = f"Did you mean {table}{close[0]}?" if close else f"The settings here are: {', '.join(fields)}."
    return SettingsError(f"{where}: there is no setting {table}{key}", hint)
