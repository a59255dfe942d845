"""Requests to function URLs: who may call, the function's answer as a response, errors as AWS's front gives them."""

from __future__ import annotations

import json
import re
import time

from sagehound.localcloud.authorization import context as keys
from sagehound.localcloud.call import Call, Caller, CredentialSource, HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.gateway import Exchange
from sagehound.localcloud.message import read
from sagehound.localcloud.services.lambda_ import url_cors, url_events
from sagehound.localcloud.services.lambda_.invocation_needs import Authoriser, Target
from sagehound.localcloud.services.lambda_.invoker import MAX_PAYLOAD, Invoker
from sagehound.localcloud.services.lambda_.urls import PATH, Record, Urls
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.wire.authentication import ANONYMOUS, authenticate
from sagehound.localcloud.wire.protocol import WireResponse
from sagehound.localcloud.wire.route import REST_JSON, Route

_HOST = re.compile(r"([a-z0-9]{32})\.lambda-url\.[a-z0-9-]+\.[a-z0-9.:-]+", re.IGNORECASE)
_LONGEST_HOST = 260
_FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
_PASSED_ON = {"TooManyRequestsException": 429, "RequestTooLargeException": 413, "ResourceNotFoundException": 404}


class UrlFront:
    """Answers what is addressed to a function and not to AWS's API."""

    def __init__(
        self,
        urls: Urls,
        invoker: Invoker,
        authoriser: Authoriser,
        credentials: CredentialSource,
        clock: Clock,
        account_id: str,
    ) -> None:
        self._urls = urls
        self._invoker = invoker
        self._authoriser = authoriser
        self._credentials = credentials
        self._clock = clock
        self._account_id = account_id

    def claims(self, http: HttpRequest) -> bool:
        """Whether a request is for a function URL: by its path here, or by its host through the proxy."""
        return http.raw_path.startswith(PATH) or _hosted(http) is not None

    async def answer(self, exchange: Exchange) -> WireResponse:
        """The function's answer, or why there is none."""
        response = await self._answer(exchange)
        if response.status not in (204, 304) and isinstance(response.body, bytes):
            response.headers.append(("Content-Length", str(len(response.body))))
        return response

    async def _answer(self, exchange: Exchange) -> WireResponse:
        http = exchange.http
        exchange.route = Route("lambda", "InvokeFunctionUrl", None, REST_JSON)
        url_id, path = _address(http)
        found = self._urls.find(url_id)
        if found is None:
            return _refusal(404, "ResourceNotFoundException", "There is no function URL with this address.")
        region, config = found
        rules: Record = config.get("Cors", {})
        if rules and url_cors.is_preflight(http):
            return WireResponse(200, url_cors.preflight(rules, http))
        try:
            response = await self._invoke(exchange, region, config, url_id, path)
        except AwsError as error:
            exchange.error = error
            response = _refused(error)
        response.headers = url_cors.replaced(response.headers, rules, http)
        return response

    async def _invoke(self, exchange: Exchange, region: str, config: Record, url_id: str, path: str) -> WireResponse:
        http = exchange.http
        body = await _read(http)
        target = self._invoker.resolve(region, config["FunctionArn"], None)
        caller = self._authenticated(exchange, region, config, body)
        exchange.call = Call("lambda", "InvokeFunctionUrl", region, self._account_id, caller, exchange.request_id, http)
        exchange.call.resource = target.arn
        exchange.step = "authorise"
        self._authorise(exchange.call, target, config["AuthType"])
        exchange.step = "dispatch"
        signed = caller if config["AuthType"] == "AWS_IAM" else None
        event = url_events.event(
            http,
            path,
            body,
            url_id=url_id,
            region=region,
            caller=signed,
            request_id=exchange.request_id,
            now=self._clock.now(),
        )
        if len(event) > MAX_PAYLOAD:
            raise _too_large()
        trace_id = http.headers.get("x-amzn-trace-id")
        ran = await self._invoker.run(region, target, event, exchange.request_id, trace_id=trace_id)
        if ran.outcome.error is not None:
            return _failed()
        try:
            status, headers, answer = url_events.response(ran.outcome.payload)
        except url_events.MalformedAnswer:
            return _failed()
        return WireResponse(status, [*headers, ("x-amzn-RequestId", exchange.request_id)], answer)

    def _authenticated(self, exchange: Exchange, region: str, config: Record, body: bytes) -> Caller:
        """Who signed; a URL of AuthType NONE asks nobody, and a signature is just another header of the function's."""
        if config["AuthType"] == "NONE":
            return ANONYMOUS
        assert exchange.route is not None
        exchange.step = "authenticate"
        found = authenticate(exchange.http, exchange.route, self._credentials, time.time(), body)
        if found.caller.arn and found.region != region:
            message = f"Credential should be scoped to a valid region, not '{found.region}'."
            raise AwsError("SignatureDoesNotMatch", message, 403)
        return found.caller

    def _authorise(self, call: Call, target: Target, auth_type: str) -> None:
        """Both permissions that AWS asks for: to call the URL, and to call the function through it."""
        request = keys.of_request(call.http)
        for action, context in (
            ("lambda:InvokeFunctionUrl", {"lambda:functionurlauthtype": auth_type}),
            ("lambda:InvokeFunction", {"lambda:invokedviafunctionurl": "true"}),
        ):
            self._authoriser.require(
                call.caller,
                call.region,
                action,
                target.arn,
                {**request, **context},
                service="lambda",
                authorised=call.authorised,
            )


def _address(http: HttpRequest) -> tuple[str, str]:
    """The id of the URL that a request names, and the path behind it."""
    if (hosted := _hosted(http)) is not None:
        return hosted, http.raw_path or "/"
    url_id, _, path = http.raw_path.removeprefix(PATH).partition("/")
    return url_id, f"/{path}"


def _hosted(http: HttpRequest) -> str | None:
    host = http.headers.get("host", "")
    if ".lambda-url." not in host or len(host) > _LONGEST_HOST:
        return None
    found = _HOST.fullmatch(host)
    return found[1].lower() if found else None


async def _read(http: HttpRequest) -> bytes:
    try:
        return await read(http, MAX_PAYLOAD)
    except AwsError as reason:
        raise _too_large() from reason


def _too_large() -> AwsError:
    message = f"Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation"
    return AwsError("RequestTooLargeException", message, 413)


def _refused(error: AwsError) -> WireResponse:
    if error.code in _PASSED_ON:
        response = _refusal(_PASSED_ON[error.code], error.code, error.message, error.members)
        response.headers.extend(error.headers.items())
        return response
    if error.status in (400, 401, 403):
        return _refusal(403, "AccessDeniedException", _FORBIDDEN)
    return _failed()


def _refusal(status: int, code: str, message: str, members: Record | None = None) -> WireResponse:
    body = json.dumps({"Message": message, **(members or {})}).encode()
    return WireResponse(status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)], body)


def _failed() -> WireResponse:
    """The function failed, or answered with what is no response; its log says more."""
    return WireResponse(502, [("Content-Type", "application/json")], b"Internal Server Error")
