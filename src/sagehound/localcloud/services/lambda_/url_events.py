"""A request to a function URL as the handler's event, and the handler's answer as a response: payload format 2.0.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from sagehound.localcloud.call import Caller, HttpRequest

_TEXT = ("text/", "application/json", "application/javascript", "application/xml")
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-authorization"})
_SECRETS = frozenset({"authorization", "x-amz-security-token"})
"""Of a signed request: they are for the front, and no business of the function's."""
_NEVER = frozenset({"content-length", *_HOP})
"""Headers of an answer that belong to the connection; its length is what its body says."""


class MalformedAnswer(ValueError):
    """A handler's answer that is no response."""


def event(
    http: HttpRequest,
    path: str,
    body: bytes,
    *,
    url_id: str,
    region: str,
    caller: Caller | None,
    request_id: str,
    now: datetime,
) -> bytes:
    """The event; `caller` is who signed the request, None for a URL that asks for no signature."""
    headers = _event_headers(http, signed=caller is not None)
    cookies = headers.pop("cookie", None)
    domain = f"{url_id}.lambda-url.{region}.on.aws"
    context: dict[str, Any] = {
        "accountId": caller.account_id if caller else "anonymous",
        "apiId": url_id,
        "domainName": domain,
        "domainPrefix": url_id,
        "http": {
            "method": http.method,
            "path": unquote(path),
            "protocol": "HTTP/1.1",
            "sourceIp": http.client,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{now:%d/%b/%Y:%H:%M:%S +0000}",
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if caller is not None:
        context["authorizer"] = {"iam": _identity(caller)}
    document: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(path),
        "rawQueryString": http.query_string,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies is not None:
        document["cookies"] = [cookie.strip() for cookie in cookies.split(";")]
    if query := _query(http.query_string):
        document["queryStringParameters"] = query
    if body:
        text = _text(body, headers.get("content-type", ""))
        document["isBase64Encoded"] = text is None
        document["body"] = base64.b64encode(body).decode() if text is None else text
    return json.dumps(document, separators=(",", ":")).encode()


def response(payload: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of a handler's answer: what its statusCode form says, or the JSON itself."""
    try:
        document = json.loads(payload)
    except ValueError as reason:
        raise MalformedAnswer("the answer is no JSON") from reason
    if not isinstance(document, dict) or "statusCode" not in document:
        return 200, [("Content-Type", "application/json")], payload
    status = document["statusCode"]
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise MalformedAnswer(f"statusCode is {status!r}")
    headers = _answer_headers(document.get("headers"))
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    cookies = document.get("cookies") or []
    if not isinstance(cookies, list):
        raise MalformedAnswer("cookies is no list")
    headers.extend(("Set-Cookie", str(cookie)) for cookie in cookies)
    return status, headers, _answer_body(document)


def _answer_headers(given: Any) -> list[tuple[str, str]]:
    if given is None:
        return []
    if not isinstance(given, dict):
        raise MalformedAnswer("headers is no object")
    found = []
    for name, value in given.items():
        if isinstance(value, dict | list):
            raise MalformedAnswer(f"the header {name} is no text")
        if name.lower() not in _NEVER and value is not None:
            found.append((name, json.dumps(value) if isinstance(value, bool) else str(value)))
    return found


def _answer_body(document: dict[str, Any]) -> bytes:
    body = document.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedAnswer("body is no text")
    if not document.get("isBase64Encoded"):
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as reason:
        raise MalformedAnswer("body is no base64") from reason


def _event_headers(http: HttpRequest, *, signed: bool) -> dict[str, str]:
    """The headers of the request, and those that AWS's front adds."""
    dropped = _HOP | _SECRETS if signed else _HOP
    headers = {name: value for name, value in http.headers.items() if name not in dropped}
    before = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{before},{http.client}" if before else http.client
    headers["x-forwarded-proto"] = http.scheme
    _, _, port = headers.get("host", "").rpartition(":")
    headers["x-forwarded-port"] = port if port.isdecimal() else "443" if http.scheme == "https" else "80"
    return headers


def _identity(caller: Caller) -> dict[str, Any]:
    return {
        "accessKey": caller.access_key_id,
        "accountId": caller.account_id,
        "callerId": caller.user_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.arn,
        "userId": caller.user_id,
    }


def _query(query_string: str) -> dict[str, str]:
    """Repeated names are joined with commas."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in found.items()}


def _text(body: bytes, content_type: str) -> str | None:
    """The body as text where its type says that it is; None for what goes in base64."""
    kind = content_type.partition(";")[0].strip().lower()
    if not (kind.startswith(_TEXT) or kind.endswith(("+json", "+xml"))):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
