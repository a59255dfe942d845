"""Cross-origin rules of a function URL: answers to preflights, and the headers that browsers look for."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import HttpRequest

Record = dict[str, Any]

_PREFIX = "access-control-"


def is_preflight(http: HttpRequest) -> bool:
    """Whether a browser asks before it calls."""
    return http.method == "OPTIONS" and "origin" in http.headers and "access-control-request-method" in http.headers


def preflight(rules: Record, http: HttpRequest) -> list[tuple[str, str]]:
    """The headers of the answer: empty, which a browser takes as no, unless the rules allow what it asks."""
    headers = headers_for(rules, http)
    method = http.headers["access-control-request-method"]
    allowed = rules.get("AllowMethods", [])
    if not headers or not ("*" in allowed or method in allowed):
        return []
    asked = [name.strip() for name in http.headers.get("access-control-request-headers", "").split(",") if name.strip()]
    known = {name.lower() for name in rules.get("AllowHeaders", [])}
    if "*" not in known and any(name.lower() not in known for name in asked):
        return []
    headers.append(("Access-Control-Allow-Methods", ",".join(allowed)))
    if asked:
        headers.append(("Access-Control-Allow-Headers", ",".join(asked)))
    if "MaxAge" in rules:
        headers.append(("Access-Control-Max-Age", str(rules["MaxAge"])))
    return headers


def headers_for(rules: Record, http: HttpRequest) -> list[tuple[str, str]]:
    """What is added to any answer to an origin that the rules allow."""
    origin = http.headers.get("origin")
    allowed = rules.get("AllowOrigins", [])
    if origin is None or not ("*" in allowed or origin in allowed):
        return []
    headers = []
    if rules.get("AllowCredentials"):
        headers.append(("Access-Control-Allow-Credentials", "true"))
        headers.append(("Access-Control-Allow-Origin", origin))
    else:
        headers.append(("Access-Control-Allow-Origin", "*" if "*" in allowed else origin))
    if rules.get("ExposeHeaders"):
        headers.append(("Access-Control-Expose-Headers", ",".join(rules["ExposeHeaders"])))
    if "*" not in allowed or rules.get("AllowCredentials"):
        headers.append(("Vary", "Origin"))
    return headers


def replaced(headers: list[tuple[str, str]], rules: Record, http: HttpRequest) -> list[tuple[str, str]]:
    """The headers of a function's answer; with rules of the URL its own cross-origin headers do not count."""
    if not rules:
        return headers
    own = [(name, value) for name, value in headers if not name.lower().startswith(_PREFIX)]
    return own + headers_for(rules, http)
