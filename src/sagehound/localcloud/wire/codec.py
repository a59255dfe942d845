"""The one file that touches moto: its service models and its request parsers, and nothing else of it.

moto.core's modules promise no stability, so the version is pinned and tests/wire/ runs every operation of every
service that we have through them against a real client. These three depend on botocore alone; importing them the usual
way would run `moto/__init__`, which loads boto3, requests and werkzeug's development server (half a second, 17 MB).
moto's serializers are not used: they take 57 ms for a list of 1,000 objects, where `xml.py` takes 5.
"""

from __future__ import annotations

import base64
import functools
import json
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.machinery import PathFinder
from typing import Any
from xml.etree import ElementTree

from botocore.utils import parse_timestamp


@contextmanager
def _without_package_init(*packages: str) -> Iterator[None]:
    """Let submodules of `packages` be imported without running the `__init__` of the packages themselves."""
    added: list[str] = []
    for name in packages:
        if name in sys.modules:
            continue
        parent = sys.modules.get(name.rpartition(".")[0])
        spec = PathFinder.find_spec(name, parent.__path__ if parent else None)
        if spec is None or spec.submodule_search_locations is None:
            raise ImportError(f"{name} is not installed")
        shell = types.ModuleType(name)
        shell.__path__ = list(spec.submodule_search_locations)
        shell.__file__ = spec.origin
        sys.modules[name] = shell
        added.append(name)
    try:
        yield
    finally:
        # Whoever imports moto later gets the true package.
        for name in added:
            del sys.modules[name]


with _without_package_init("moto", "moto.core"):
    from moto.core.loaders import create_loader
    from moto.core.model import ServiceModel
    from moto.core.parse import PROTOCOL_PARSERS, UNDEFINED


class MalformedInput(ValueError):
    """The request body is not what its protocol and its operation's model say."""


@functools.cache
def service_model(service: str) -> Any:
    """The botocore service model, loaded at its first use (sagemaker's takes 40 ms, ec2's 100 ms)."""
    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


@functools.cache
def _loader() -> Any:
    return create_loader()


def timestamp(value: Any) -> datetime:
    """An aware UTC datetime from epoch seconds, ISO 8601 or RFC 822 text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    moment: datetime = parse_timestamp(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _blob(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


@functools.lru_cache(maxsize=1024)
def _parser(model: Any, protocol: str) -> Any:
    return PROTOCOL_PARSERS[protocol](model, timestamp_parser=timestamp, blob_parser=_blob)


_REFUSED = (ValueError, TypeError, AttributeError, KeyError, OverflowError)


def parse_form(model: Any, protocol: str, form: dict[str, str]) -> dict[str, Any]:
    """The input of a query or ec2 operation from its decoded form fields."""
    if model.input_shape is None:
        return {}
    try:
        parsed = _parser(model, protocol)._parse_shape(model.input_shape, form)
    except _REFUSED as reason:
        raise MalformedInput(str(reason)) from reason
    return {} if parsed is UNDEFINED else parsed


def parse_json(model: Any, protocol: str, shape: Any, body: bytes) -> Any:
    """A JSON document read as `shape`: timestamps become datetimes, blobs bytes, unknown members are dropped."""
    try:
        document = json.loads(body) if body else {}
        return _parser(model, protocol)._parse_shape(shape, document)
    except (*_REFUSED, RecursionError) as reason:
        raise MalformedInput(str(reason)) from reason


def parse_xml(model: Any, shape: Any, body: bytes) -> Any:
    """An XML document read as `shape`, whatever its namespace."""
    try:
        return _parser(model, "rest-xml")._parse_shape(shape, ElementTree.fromstring(body))
    except (*_REFUSED, ElementTree.ParseError, RecursionError) as reason:
        raise MalformedInput(str(reason)) from reason
