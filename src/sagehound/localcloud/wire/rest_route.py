"""The routes of the rest-json services: URI templates of the model as regular expressions."""

from __future__ import annotations

import functools
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.wire import codec

LAMBDA_PATH = re.compile(r"/20\d\d-\d\d-\d\d/")
_LABEL = re.compile(r"\{([^}]+)\}")


def match(service: str, http: HttpRequest) -> tuple[Any, dict[str, str], dict[str, str]] | None:
    """The operation model, its URI parameters and the query of a request, or None when the service has no such URI."""
    for method, pattern, labels, name in _templates(service):
        if method == http.method and (found := pattern.fullmatch(http.raw_path)):
            uri_params = {label: unquote(value) for label, value in zip(labels, found.groups(), strict=True)}
            query: dict[str, str] = {}
            for key, value in parse_qsl(http.query_string, keep_blank_values=True):
                query.setdefault(key, value)
            return codec.service_model(service).operation_model(name), uri_params, query
    return None


@functools.cache
def _templates(service: str) -> list[tuple[str, re.Pattern[str], list[str], str]]:
    """(method, path pattern, label names, operation), the most literal templates first."""
    model = codec.service_model(service)
    found = []
    for name in model.operation_names:
        trait = model.operation_model(name).http_trait
        path = trait.path.rstrip("/")
        labels = [label.rstrip("+") for label in _LABEL.findall(path)]
        literals = _LABEL.split(path)[::2]
        # An ARN as the last label may come with its slashes and colons as they are.
        pattern = "([^/]+)".join(re.escape(literal) for literal in literals)
        if path.endswith("}"):
            pattern = pattern.removesuffix("([^/]+)") + "(.+?)"
        found.append((sum(map(len, literals)), trait.method, re.compile(pattern + "/?"), labels, name))
    found.sort(key=lambda entry: -entry[0])
    return [entry[1:] for entry in found]
