"""The request path as one visible list: every AWS call passes these steps, in this order, and is recorded."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sagehound.localcloud.authorization.authoriser import Authoriser
from sagehound.localcloud.call import Call, CredentialSource, HttpRequest, Request, Response, Service
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.message import (
    ClientGone,
    Message,
    Receive,
    Scope,
    decompress,
    http_request,
    is_gzip,
    read,
    read_away,
)
from sagehound.localcloud.recorder import Recorder
from sagehound.localcloud.sending import send_response
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.wire import protocol, validate
from sagehound.localcloud.wire.authentication import Authentication, authenticate
from sagehound.localcloud.wire.body import RequestBody

logger = logging.getLogger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 70 * 1024 * 1024
"""Of a request that is read whole: AWS's largest is a 50 MB Lambda zip in base64."""
MAX_FORM_BYTES = 4 * 1024 * 1024
"""Of a form: it is read to find its operation, so before its signature is verified."""
MAX_XML_BYTES = 8 * 1024 * 1024
"""Of S3's documents: a thousand keys to delete, each of 1,024 characters written as references."""


@dataclass(slots=True)
class Exchange:
    """One request on its way through the steps, with what each step found out."""

    http: HttpRequest
    request_id: str
    began: float
    step: str = "identify"
    body: bytes | None = None
    route: protocol.Route | None = None
    authentication: Authentication | None = None
    call: Call | None = None
    params: Request = field(default_factory=dict)
    result: Response = field(default_factory=dict)
    response: protocol.WireResponse | None = None
    error: AwsError | None = None


class Front(Protocol):
    """Answers requests that are addressed to something else than AWS's API: function URLs, packages to download."""

    def claims(self, http: HttpRequest, /) -> bool: ...

    async def answer(self, exchange: Exchange, /) -> protocol.WireResponse:
        """The answer; what it sets of the exchange is recorded."""


class Gateway:
    """The ASGI application in front of all services."""

    def __init__(
        self,
        services: Mapping[str, Service],
        credentials: CredentialSource,
        clock: Clock,
        account_id: str,
        recorder: Recorder,
        authoriser: Authoriser,
        fronts: Sequence[Front] = (),
    ) -> None:
        self.operations = {name: service.operations for name, service in services.items()}
        self.credentials = credentials
        self.clock = clock
        self.account_id = account_id
        self.recorder = recorder
        self.authoriser = authoriser
        self.fronts = fronts
        self.steps: tuple[Callable[[Exchange], Awaitable[None]], ...] = (
            self.identify,
            self.authenticate,
            self.parse,
            self.validate,
            self.authorise,
            self.dispatch,
            self.serialise,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        message = Message(receive)
        exchange = Exchange(http_request(scope, message.chunks), str(uuid.uuid4()), time.perf_counter())
        front = next((front for front in self.fronts if front.claims(exchange.http)), None)
        try:
            if front is not None:
                exchange.response = await front.answer(exchange)
            else:
                for step in self.steps:
                    exchange.step = step.__name__
                    await step(exchange)
        except AwsError as error:
            exchange.error = error
        except ClientGone:
            exchange.error = AwsError("RequestTimeout", "The client closed the connection before its request ended.")
            self.record(exchange)
            return
        except Exception as fault:
            logger.exception("%s failed in step %s", _action(exchange), exchange.step)
            exchange.error = AwsError("InternalFailure", f"Internal fault: {type(fault).__name__}: {fault}", 500)
        if exchange.error is not None and exchange.response is None:
            extra = exchange.call.response_headers if exchange.call else {}
            exchange.response = protocol.serialise_error(
                exchange.route, exchange.http, exchange.error, exchange.request_id, extra
            )
        assert exchange.response is not None
        if "expect" in exchange.http.headers and not message.asked_for:
            # The client holds its body back until it is told to go on; answered at once, it never sends it, and the
            # connection cannot be used again (RFC 9110, 10.1.1).
            exchange.response.headers.append(("Connection", "close"))
        try:
            await send_response(exchange.response, exchange.http.method, send, receive if message.ended else None)
        finally:
            self.record(exchange)

    async def identify(self, exchange: Exchange) -> None:
        """Service and operation come from the route, never from what the signature claims."""
        form = None
        if protocol.needs_body(exchange.http):
            form = exchange.body = await read(exchange.http, MAX_FORM_BYTES)
            if is_gzip(exchange.http):
                form = decompress(form, MAX_FORM_BYTES)
        exchange.route = protocol.identify(exchange.http, form)

    async def authenticate(self, exchange: Exchange) -> None:
        """Whose signature is on the request; wrong, missing, expired and skewed ones end here."""
        route, http = _route(exchange), exchange.http
        if exchange.body is None and not route.streaming:
            exchange.body = await read(http, MAX_XML_BYTES if route.service == "s3" else MAX_BODY_BYTES)
        # Clients sign by real time, whatever the speed of the cloud's own clock.
        exchange.authentication = authenticate(http, route, self.credentials, time.time(), exchange.body)
        caller = exchange.authentication.caller
        body = RequestBody(http, exchange.authentication.payload) if route.streaming else None
        exchange.call = Call(
            service=route.service,
            operation=route.operation,
            region=exchange.authentication.region,
            account_id=self.account_id,
            caller=caller,
            request_id=exchange.request_id,
            http=http,
            body=body,
            document=exchange.body or b"",
        )

    async def parse(self, exchange: Exchange) -> None:
        """The parameters by AWS's member names."""
        route = _route(exchange)
        if route.operation not in self.operations.get(route.service, {}):
            raise not_implemented(route.service, route.operation)
        body = exchange.body or b""
        if route.service != "s3" and route.protocol not in (protocol.QUERY, protocol.EC2) and is_gzip(exchange.http):
            body = decompress(body, MAX_BODY_BYTES)
        exchange.params = protocol.parse(route, exchange.http, body)

    async def validate(self, exchange: Exchange) -> None:
        """Required members, types, lengths, ranges, enums and patterns, as AWS's own model states them."""
        validate.validate(_route(exchange), exchange.params)

    async def authorise(self, exchange: Exchange) -> None:
        """What the caller's policies and the resource's allow; before a body that streams is read."""
        call, authentication = exchange.call, exchange.authentication
        assert call is not None
        assert authentication is not None
        try:
            self.authoriser.authorise(call, _route(exchange), exchange.params)
        except AwsError:
            if authentication.payload.at_end is not None and call.body is not None:
                # The signature covers the body: nobody is told what a key may not do before it is theirs.
                await read_away(call.body, MAX_BODY_BYTES)
            raise

    async def dispatch(self, exchange: Exchange) -> None:
        """The one operation of the one service."""
        route, call = _route(exchange), exchange.call
        assert call is not None
        try:
            result = self.operations[route.service][route.operation](call, exchange.params)
            exchange.result = await result if isinstance(result, Awaitable) else result
        except AwsError as error:
            told = self.authoriser.concealed(call, exchange.params, error)
            if told is error:
                raise
            raise told from error

    async def serialise(self, exchange: Exchange) -> None:
        """The answer in the protocol that the client spoke."""
        call = exchange.call
        assert call is not None
        response = protocol.serialise(_route(exchange), exchange.result, exchange.request_id)
        if call.status is not None:
            response.status = call.status
        if call.response_headers:
            own = {name.lower() for name in call.response_headers}
            response.headers = [(name, value) for name, value in response.headers if name.lower() not in own]
            response.headers.extend(call.response_headers.items())
        exchange.response = response

    def record(self, exchange: Exchange) -> None:
        """One line: who, what, on what, allowed or why not, how long."""
        call = exchange.call
        caller = call.caller if call else None
        self.recorder.write(
            time=self.clock.time(),
            request_id=exchange.request_id,
            caller=caller.arn if caller else None,
            principal_id=caller.user_id if caller else None,
            access_key_id=caller.access_key_id or None if caller else None,
            session_issuer=caller.session.get("RoleArn") if caller else None,
            action=_action(exchange),
            resource=call.resource if call else "*",
            region=call.region if call else None,
            source=exchange.http.client,
            user_agent=exchange.http.headers.get("user-agent"),
            status=exchange.response.status if exchange.response else None,
            refused_by=exchange.step if exchange.error else None,
            error=exchange.error.code if exchange.error else None,
            message=exchange.error.message if exchange.error else None,
            authorised=(call.authorised or None) if call else None,
            milliseconds=round((time.perf_counter() - exchange.began) * 1000, 3),
        )


def _action(exchange: Exchange) -> str:
    route = exchange.route
    return f"{route.service}:{route.operation}" if route else f"{exchange.http.method} {exchange.http.raw_path}"


def _route(exchange: Exchange) -> protocol.Route:
    assert exchange.route is not None
    return exchange.route
