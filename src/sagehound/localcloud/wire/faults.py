"""Refusals on the wire: an AwsError in the shape that each protocol's clients read."""

from __future__ import annotations

import functools
import json
from typing import Any
from xml.sax.saxutils import escape

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import cbor, codec, rest
from sagehound.localcloud.wire.route import CBOR, EC2, JSON, JSON_TARGETS, QUERY, REST_JSON, Route, guess_protocol

Headers = list[tuple[str, str]]

_JSON_1_0 = frozenset({"cloudwatch"})
_HOST_ID = "c2FnZWhvdW5kIGxvY2FsIGNsb3Vk"
"""S3 names a host in each answer; ours is always this one."""


def request_id_headers(route: Route | None, request_id: str) -> Headers:
    """The header that carries the request id: S3 has its own."""
    if route is None or route.service == "s3":
        return [("x-amz-request-id", request_id), ("x-amz-id-2", _HOST_ID)]
    return [("x-amzn-RequestId", request_id)]


def json_content_type(route: Route) -> str:
    """`application/x-amz-json-1.1`, or 1.0 where the service speaks that."""
    return f"application/x-amz-json-1.{0 if route.service in _JSON_1_0 else 1}"


def malformed(route: Route, reason: str) -> AwsError:
    """The error for a body that cannot be read as the operation's input."""
    if route.service == "s3":
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        return AwsError("MalformedXML", message)
    if route.protocol in (QUERY, EC2):
        return AwsError("MalformedInput", f"The request could not be read: {reason}")
    return AwsError("SerializationException", reason)


def invalid_member(route: Route, reason: rest.InvalidMember) -> AwsError:
    """The error for a header or query value of the wrong type."""
    if route.service == "s3":
        words = "an integer or within integer range" if reason.kind in ("integer", "long") else f"a {reason.kind}"
        members = {"ArgumentName": reason.name, "ArgumentValue": reason.value}
        return AwsError("InvalidArgument", f"Provided {reason.name} not {words}", members=members)
    return AwsError("SerializationException", str(reason))


def serialise(route: Route | None, http: HttpRequest, error: AwsError, request_id: str) -> tuple[int, Headers, bytes]:
    """Status, headers and body of a refusal."""
    protocol = route.protocol if route is not None else guess_protocol(http)
    service = route.service if route is not None else _service_of_target(http)
    shape = _error_shape(service, error.code) if service else None
    status = error.status
    if status == 400 and shape is not None:
        status = shape.metadata.get("error", {}).get("httpStatusCode", 400)
    extra = list(error.headers.items())
    if protocol in (JSON, REST_JSON, CBOR):
        headers, body = _document(protocol, service, http, error, shape)
        headers.append(("x-amzn-RequestId", request_id))
    elif protocol in (QUERY, EC2):
        headers, body = _query(protocol, service, error, status, request_id)
    else:
        headers, body = _s3(http, error, request_id)
    return status, headers + extra, body


def _service_of_target(http: HttpRequest) -> str | None:
    return JSON_TARGETS.get(http.headers.get("x-amz-target", "").rpartition(".")[0])


@functools.lru_cache(maxsize=1024)
def _error_shape(service: str, code: str) -> Any:
    """The modelled error whose name or code is `code`, or None."""
    shapes = codec.service_model(service).error_shapes
    by_name = (shape for shape in shapes if shape.name == code)
    by_code = (shape for shape in shapes if shape.error_code == code)
    return next(by_name, None) or next(by_code, None)


def _document(
    protocol: str, service: str | None, http: HttpRequest, error: AwsError, shape: Any
) -> tuple[Headers, bytes]:
    """JSON and CBOR: `__type`, the message under the name that the model gives it, and the modelled members."""
    code = shape.name if shape is not None else error.code
    message_name = "message"
    if shape is not None and "Message" in shape.members:
        message_name = "Message"
    document: dict[str, Any] = {"__type": code, message_name: error.message, **error.members}
    headers: Headers = [("x-amzn-ErrorType", code)]
    if service == "cloudwatch" and "x-amzn-query-mode" in http.headers:
        query_code = shape.error_code if shape is not None else error.code
        headers.append(("x-amzn-query-error", f"{query_code};{'Receiver' if error.status >= 500 else 'Sender'}"))
    if protocol == CBOR:
        return headers + cbor.HEADERS, cbor.dumps(document)
    kind = "application/json"
    if protocol == JSON:
        kind = f"application/x-amz-json-1.{0 if service in _JSON_1_0 else 1}"
    return [*headers, ("Content-Type", kind)], json.dumps(document, default=str).encode()


def _query(protocol: str, service: str | None, error: AwsError, status: int, request_id: str) -> tuple[Headers, bytes]:
    members = "".join(_element(name, value) for name, value in error.members.items())
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{members}"
    if protocol == EC2:
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    else:
        namespace = ""
        if service is not None and (uri := codec.service_model(service).metadata.get("xmlNamespace")):
            namespace = f' xmlns="{uri}"'
        kind = "Receiver" if status >= 500 else "Sender"
        text = (
            f"<ErrorResponse{namespace}><Error><Type>{kind}</Type>{inner}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return [("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)], text.encode(errors="replace")


def _s3(http: HttpRequest, error: AwsError, request_id: str) -> tuple[Headers, bytes]:
    headers: Headers = request_id_headers(None, request_id)
    if http.method == "HEAD" or error.status == 304:
        return headers, b""
    members = "".join(_element(name, value) for name, value in error.members.items())
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{members}"
        f"<RequestId>{request_id}</RequestId><HostId>{_HOST_ID}</HostId></Error>"
    )
    return [*headers, ("Content-Type", "application/xml")], text.encode(errors="replace")


def _element(name: str, value: Any) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"
