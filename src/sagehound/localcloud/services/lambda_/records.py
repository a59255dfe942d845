"""Lambda's records in the store: a row a function, version, alias, policy and layer version, found by its function."""

from __future__ import annotations

import uuid
from typing import Any

from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store, loads

Record = dict[str, Any]

FUNCTION = "lambda-function"
VERSION = "lambda-version"
ALIAS = "lambda-alias"
POLICY = "lambda-policy"
PROVISIONED = "lambda-provisioned"
URL = "lambda-url"
EVENT_INVOKE = "lambda-event-invoke"
LAYER = "lambda-layer"
LAYER_NAME = "lambda-layer-name"
OF_A_FUNCTION = (VERSION, ALIAS, POLICY, PROVISIONED, URL, EVENT_INVOKE)
"""Kinds whose names are FUNCTION:QUALIFIER, which go with their function."""

_UNDER = "kind = ? AND region = ? AND name > ? AND name < ?"


def everywhere(store: Store, kind: str) -> list[tuple[str, str, Record]]:
    """Region, name and body of all records of a kind."""
    rows = store.execute("SELECT region, name, body FROM records WHERE kind = ?", (kind,))
    return [(row["region"], row["name"], loads(row["body"])) for row in rows]


def under(store: Store, kind: str, region: str, name: str) -> list[Record]:
    """The records whose names are NAME:ANYTHING."""
    rows = store.execute(f"SELECT body FROM records WHERE {_UNDER} ORDER BY name", _bounds(kind, region, name))
    return [loads(row[0]) for row in rows]


def remove_under(store: Store, kind: str, region: str, name: str) -> None:
    """Remove the records whose names are NAME:ANYTHING."""
    store.execute(f"DELETE FROM records WHERE {_UNDER}", _bounds(kind, region, name))


def _bounds(kind: str, region: str, name: str) -> tuple[str, str, str, str]:
    # No name of a function or a layer holds a colon, and a semicolon is the character behind it.
    return kind, region, f"{name}:", f"{name};"


def revision() -> str:
    """A RevisionId."""
    return str(uuid.uuid4())


def timestamp(clock: Clock) -> str:
    """Now, as LastModified and CreatedDate have it: `2026-11-23T01:02:03.456+0000`."""
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "+0000")
