"""The one file that touches moto: its service models and its parsers of query forms, and nothing else of it.

moto.core's modules promise no stability, so the version is pinned and tests/wire/ runs every operation of every
service that we have through them against a real client. These three depend on botocore alone; importing them the usual
way would run `moto/__init__`, which loads boto3, requests and werkzeug's development server (half a second, 17 MB).
Its serializers and its other parsers are not used: they take 57 ms for a list of 1,000 objects where `xml.py` takes 6,
and 35 ms for 1,000 parts of an upload where `xml_reader.py` takes 5, while every other call waits.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import Any

from sagehound.localcloud.wire.document_reader import blob, timestamp
from sagehound.localcloud.wire.malformed import MalformedInput


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


@functools.cache
def service_model(service: str) -> Any:
    """The botocore service model, loaded at its first use (sagemaker's takes 40 ms, ec2's 100 ms)."""
    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


@functools.cache
def _loader() -> Any:
    return create_loader()


class _Form(dict[str, str]):
    """The fields of a form, with the beginnings of their dotted names."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields)
        self.beginnings = set[str]()
        for name in fields:
            at = name.find(".")
            for _ in range(_DEEPEST):
                self.beginnings.add(name if at < 0 else name[:at])
                if at < 0:
                    break
                at = name.find(".", at + 1)


def _indexed(parser: Any) -> Any:
    """A parser that looks up whether a form has anything for a structure; moto's walks through all fields each time."""

    def lacks(_self: Any, form: _Form, prefix: str) -> bool:
        return prefix != "" and prefix not in form.beginnings

    return type(parser.__name__, (parser,), {"_gonna_recurse": lacks})


@functools.lru_cache(maxsize=1024)
def _parser(model: Any, protocol: str) -> Any:
    return _indexed(PROTOCOL_PARSERS[protocol])(model, timestamp_parser=timestamp, blob_parser=blob)


_DEEPEST = 32
"""Dots in the name of a field; no operation's input is nested half as deep."""
_REFUSED = (ValueError, TypeError, AttributeError, KeyError, OverflowError)


def parse_form(model: Any, protocol: str, form: dict[str, str]) -> dict[str, Any]:
    """The input of a query or ec2 operation from its decoded form fields."""
    if model.input_shape is None:
        return {}
    try:
        parsed = _parser(model, protocol)._parse_shape(model.input_shape, _Form(form))
    except _REFUSED as reason:
        raise MalformedInput(str(reason)) from reason
    return {} if parsed is UNDEFINED else parsed
