"""Invoke: a function called and its answer waited for, an event taken for later, or the permission tried."""

from __future__ import annotations

import base64
import binascii
import json

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_.errors import unsupported
from sagehound.localcloud.services.lambda_.event_queue import EventQueue
from sagehound.localcloud.services.lambda_.event_table import MAX_EVENT, too_large_an_event
from sagehound.localcloud.services.lambda_.invoker import MAX_PAYLOAD, Invoker

MAX_CLIENT_CONTEXT = 3583
"""Bytes of the header, as it is sent in base64."""
_NOT_HERE = ("DurableExecutionName", "TenantId")


def _refuse(constant: str) -> None:
    """Python reads NaN and Infinity, JSON has neither."""
    raise ValueError(f"{constant} is no JSON value")


_JSON = json.JSONDecoder(parse_constant=_refuse)


class Invoke:
    """The data plane of functions."""

    def __init__(self, invoker: Invoker, queue: EventQueue) -> None:
        self._invoker = invoker
        self._queue = queue

    async def Invoke(self, call: Call, request: Request) -> Response:
        """RequestResponse: the handler's answer, or its error as X-Amz-Function-Error says. Event: 202 once the event
        is stored. DryRun: 204, the function is there and the caller may call it."""
        target = self._invoker.resolve(call.region, request["FunctionName"], request.get("Qualifier"))
        call.resource = target.arn
        for member in _NOT_HERE:
            if member in request:
                raise unsupported(f"Invoke with {member}")
        kind = request.get("InvocationType", "RequestResponse")
        payload = request.get("Payload") or b"{}"
        _check_size(payload, kind)
        context = client_context(request.get("ClientContext"))
        _check_json(payload)
        if kind == "DryRun":
            return {"StatusCode": 204}
        trace_id = call.http.headers.get("x-amzn-trace-id")
        if kind == "Event":
            self._queue.add(call.region, target, payload, call.request_id, client_context=context, trace_id=trace_id)
            return {"StatusCode": 202}
        ran = await self._invoker.run(
            call.region, target, payload, call.request_id, client_context=context, trace_id=trace_id
        )
        response: Response = {
            "StatusCode": 200,
            "ExecutedVersion": ran.version,
            "Payload": ran.outcome.payload,
        }
        if ran.outcome.error is not None:
            response["FunctionError"] = ran.outcome.error
        if request.get("LogType") == "Tail":
            response["LogResult"] = base64.b64encode(ran.outcome.log_tail).decode()
        return response


def client_context(header: str | None) -> str | None:
    """The JSON text behind X-Amz-Client-Context; InvalidRequestContentException when it is none."""
    if header is None:
        return None
    if len(header) > MAX_CLIENT_CONTEXT:
        raise _invalid("Client context must be no more than 3583 bytes.")
    try:
        text = base64.b64decode(header, validate=True).decode()
        json.loads(text)
    except (binascii.Error, ValueError) as reason:
        raise _invalid(f"Client context must be a valid Base64-encoded JSON object: {reason}") from reason
    return text


def _check_size(payload: bytes, kind: str) -> None:
    if kind == "Event" and len(payload) > MAX_EVENT:
        raise too_large_an_event(len(payload))
    if len(payload) > MAX_PAYLOAD:
        message = f"Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation"
        raise AwsError("RequestTooLargeException", message, 413, members={"Type": "User"})


def _check_json(payload: bytes) -> None:
    try:
        _JSON.decode(payload.decode())
    except ValueError as reason:
        raise _invalid(
            f"Could not parse request body into json: Could not parse payload into json: {reason}"
        ) from reason
    except RecursionError as reason:
        raise _invalid("Could not parse request body into json: it is nested too deeply") from reason


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestContentException", message, members={"Type": "User"})
