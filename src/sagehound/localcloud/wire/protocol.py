"""The wire as the gateway sees it: identify a request, parse its input, serialise its result or its error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sagehound.localcloud.call import FileRange, HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import cbor, codec, documents, faults, rest, xml
from sagehound.localcloud.wire.document_reader import read_json
from sagehound.localcloud.wire.malformed import MalformedInput
from sagehound.localcloud.wire.route import CBOR, EC2, JSON, QUERY, REST_JSON, Route, identify, needs_body
from sagehound.localcloud.wire.xml_reader import read_xml

__all__ = [
    "EC2",
    "QUERY",
    "Route",
    "WireResponse",
    "identify",
    "needs_body",
    "parse",
    "payload_member",
    "serialise",
    "serialise_error",
]

Payload = bytes | FileRange | AsyncIterator[bytes]


@dataclass(slots=True)
class WireResponse:
    """An HTTP answer."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Payload = b""


def parse(route: Route, http: HttpRequest, body: bytes) -> dict[str, Any]:
    """The operation's input by AWS's member names: timestamps as aware datetimes, blobs as bytes.

    A streaming payload (PutObject's Body) is left out: its operation reads it from the call.
    """
    model = route.model
    if model is None:
        return dict(route.uri_params)
    if model.input_shape is None:
        return {}
    try:
        if route.protocol in (QUERY, EC2):
            return codec.parse_form(model, route.protocol, route.query)
        if route.protocol == JSON:
            return _structure(read_json(model.input_shape, body))
        if route.protocol == CBOR:
            return _structure(cbor.parse(model.input_shape, body))
        return _parse_rest(route, http, body)
    except MalformedInput as reason:
        raise faults.malformed(route, str(reason)) from reason
    except rest.InvalidMember as reason:
        raise faults.invalid_member(route, reason) from reason


def _structure(parsed: Any) -> dict[str, Any]:
    if not isinstance(parsed, dict):
        raise MalformedInput("the body is not an object")
    return parsed


def _parse_rest(route: Route, http: HttpRequest, body: bytes) -> dict[str, Any]:
    model, shape = route.model, route.model.input_shape
    bindings = rest.inputs(model)
    params = rest.read_bindings(bindings, route.uri_params, route.query, route.repeated, http.headers)
    if route.streaming or not body:
        return params
    payload = bindings.payload
    if payload is not None:
        payload_shape = shape.members[payload]
        if payload_shape.type_name == "blob":
            params[payload] = body
        elif payload_shape.type_name == "string":
            params[payload] = _text(body)
        else:
            params[payload] = _parse_document(route, payload_shape, body)
    elif bindings.in_body:
        params.update(_structure(_parse_document(route, shape, body)))
    return params


def _parse_document(route: Route, shape: Any, body: bytes) -> Any:
    if route.protocol == REST_JSON:
        return read_json(shape, body)
    return read_xml(shape, body)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as reason:
        raise MalformedInput(str(reason)) from reason


def serialise(route: Route, result: dict[str, Any], request_id: str) -> WireResponse:
    """The answer to a call; a streaming member of `result` (bytes, FileRange or async iterator) becomes the body."""
    if route.model is None:
        response = WireResponse(204 if not result.get("Body") else 200, [], result.get("Body", b""))
    elif route.protocol == CBOR:
        response = WireResponse(200, cbor.HEADERS.copy(), cbor.serialise(route.model.output_shape, result))
    elif route.protocol in (JSON, QUERY, EC2):
        response = _serialise_rpc(route, result, request_id)
    else:
        response = _serialise_rest(route, result, request_id)
    response.headers.extend(faults.request_id_headers(route, request_id))
    _add_length(response)
    return response


def _serialise_rpc(route: Route, result: dict[str, Any], request_id: str) -> WireResponse:
    model = route.model
    if route.protocol == JSON:
        body = documents.json_body(model.output_shape, result)
        return WireResponse(200, [("Content-Type", faults.json_content_type(route))], body)
    write = xml.ec2_body if route.protocol == EC2 else xml.query_body
    return WireResponse(200, [("Content-Type", "text/xml")], write(model, result, request_id))


def _serialise_rest(route: Route, result: dict[str, Any], request_id: str) -> WireResponse:
    bindings = rest.outputs(route.model)
    status, headers = rest.write_bindings(bindings, result)
    body: Payload = b""
    if bindings.streaming:
        payload = result.get(bindings.payload or "", b"")
        body = payload.encode() if isinstance(payload, str) else payload
        default_type = "application/json" if route.protocol == REST_JSON or _is_policy(route) else "binary/octet-stream"
    elif bindings.in_body:
        body, default_type = _rest_document(route, result)
    else:
        return WireResponse(status, headers, body)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", default_type))
    return WireResponse(status, headers, body)


def _rest_document(route: Route, result: dict[str, Any]) -> tuple[bytes, str]:
    if route.protocol != REST_JSON:
        return xml.s3_body(route.model, result), "application/xml"
    shape, document = route.model.output_shape, result
    if payload := shape.serialization.get("payload"):
        shape, document = shape.members[payload], result.get(payload, {})
    return documents.json_body(shape, document), "application/json"


def _is_policy(route: Route) -> bool:
    return bool(route.operation == "GetBucketPolicy")


def serialise_error(
    route: Route | None,
    http: HttpRequest,
    error: AwsError,
    request_id: str,
    extra_headers: dict[str, str] | None = None,
) -> WireResponse:
    """A refusal in the protocol of the route, or in the one that the request looks like when it has no route."""
    status, headers, body = faults.serialise(route, http, error, request_id)
    headers.extend((extra_headers or {}).items())
    response = WireResponse(status, headers, body)
    _add_length(response)
    return response


def _add_length(response: WireResponse) -> None:
    """Without a length the answer would be sent chunked; clients of S3 want to know it."""
    if response.status in (204, 304) or any(name.lower() == "content-length" for name, _ in response.headers):
        return
    if isinstance(response.body, bytes):
        response.headers.append(("Content-Length", str(len(response.body))))
    elif isinstance(response.body, FileRange):
        response.headers.append(("Content-Length", str(response.body.length)))


def payload_member(route: Route) -> str:
    """The name of the member that a streaming operation reads from its body: `Body`."""
    return rest.inputs(route.model).payload or "Body"
