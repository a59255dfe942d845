"""The routes of the rest-json services: URI templates of the model as regular expressions."""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.wire import codec

LAMBDA_PATH = re.compile(r"/20\d\d-\d\d-\d\d/")
_LABEL = re.compile(r"\{([^}]+)\}")


class _Template(NamedTuple):
    method: str
    pattern: re.Pattern[str]
    labels: list[str]
    query: dict[str, str]
    operation: str


class Found(NamedTuple):
    """What a request asks of a rest-json service."""

    model: Any
    uri_params: dict[str, str]
    query: dict[str, list[str]]
    """Every value of each name: lists are sent as repeated names (`tagKeys=a&tagKeys=b`)."""


def match(service: str, http: HttpRequest) -> Found | None:
    """The operation model, its URI parameters and the query of a request, or None when the service has no such URI."""
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(http.query_string, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    for template in _templates(service):
        wanted = template.query.items()
        if template.method != http.method or any(query.get(name, [None])[0] != value for name, value in wanted):
            continue
        if found := template.pattern.fullmatch(http.raw_path):
            values = map(unquote, found.groups())
            model = codec.service_model(service).operation_model(template.operation)
            return Found(model, dict(zip(template.labels, values, strict=True)), query)
    return None


@functools.cache
def _templates(service: str) -> list[_Template]:
    """All URIs of a service, the most literal ones first."""
    model = codec.service_model(service)
    found: list[tuple[int, _Template]] = []
    for name in model.operation_names:
        trait = model.operation_model(name).http_trait
        path = trait.path.rstrip("/")
        labels = [label.rstrip("+") for label in _LABEL.findall(path)]
        literals = _LABEL.split(path)[::2]
        pattern = "([^/]+)".join(re.escape(literal) for literal in literals)
        if path.endswith("}"):
            # An ARN as the last label may come with its slashes and colons as they are.
            pattern = pattern.removesuffix("([^/]+)") + "(.+?)"
        weight = sum(map(len, literals)) + 1000 * len(trait.query_args)
        found.append((weight, _Template(trait.method, re.compile(pattern + "/?"), labels, trait.query_args, name)))
    found.sort(key=lambda entry: -entry[0])
    return [template for _, template in found]
