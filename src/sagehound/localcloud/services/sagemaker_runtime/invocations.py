"""InvokeEndpoint: a body to one of an endpoint's containers, and its answer back; InvokeEndpointAsync: to its queue."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.container.invocations import model_error
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.sagemaker_runtime.needs import Outcome, Router
from sagehound.localcloud.state import arns

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_NOT_HERE = (
    "TargetModel",
    "TargetContainerHostname",
    "InferenceComponentName",
    "EnableExplanations",
    "SessionId",
    "PrefixAwareId",
)


class Invocations:
    """The data plane of endpoints."""

    def __init__(self, router: Router, max_bytes: int) -> None:
        self._router = router
        self._max_bytes = max_bytes

    async def InvokeEndpoint(self, call: Call, request: Request) -> Response:
        """The container's answer; ModelError (424) with its status and message when that is not 2xx."""
        name = request["EndpointName"]
        call.resource = arns.make("sagemaker", call.region, call.account_id, f"endpoint/{name}")
        for member in _NOT_HERE:
            if member in request:
                raise not_implemented("sagemaker-runtime", f"InvokeEndpoint with {member}")
        assert call.body is not None, "the gateway streams the body of InvokeEndpoint"
        if self._router.queues.has(call.region, name):
            raise AwsError("ValidationError", f"Endpoint {name} is asynchronous: use InvokeEndpointAsync.", 400)
        body = await call.body.read(self._max_bytes)
        outcome = await self._router.invoke(
            call.region, name, body, _headers(call, request), request.get("TargetVariant")
        )
        if not 200 <= outcome.status < 300:
            raise _model_error(call, name, outcome)
        response: Response = {
            "Body": outcome.body,
            "ContentType": outcome.headers.get("content-type", "application/octet-stream"),
            "InvokedProductionVariant": outcome.variant,
        }
        attributes = outcome.headers.get(CUSTOM_ATTRIBUTES.lower())
        if attributes is not None:
            response["CustomAttributes"] = attributes
        return response

    async def InvokeEndpointAsync(self, call: Call, request: Request) -> Response:
        """Accept the request, which is handled when its turn comes: its result will be an object in S3."""
        name = request["EndpointName"]
        call.resource = arns.make("sagemaker", call.region, call.account_id, f"endpoint/{name}")
        assert call.body is not None, "the gateway streams the body of InvokeEndpointAsync"
        body = await call.body.read(self._max_bytes)
        accepted = self._router.queues.accept(call.region, request, body)
        call.status = 202
        response: Response = {"InferenceId": accepted.inference_id, "OutputLocation": accepted.output_location}
        if accepted.failure_location is not None:
            response["FailureLocation"] = accepted.failure_location
        return response


def _headers(call: Call, request: Request) -> dict[str, str]:
    """The headers that SageMaker passes on to the container."""
    headers = {"X-Amzn-RequestId": call.request_id}
    for member, header in (
        ("ContentType", "Content-Type"),
        ("Accept", "Accept"),
        ("CustomAttributes", CUSTOM_ATTRIBUTES),
        ("InferenceId", "X-Amzn-SageMaker-Inference-Id"),
    ):
        if member in request:
            headers[header] = request[member]
    return headers


def _model_error(call: Call, name: str, outcome: Outcome) -> AwsError:
    """AWS's words around the container's."""
    region, account_id = call.region, call.account_id
    group = f"/aws/sagemaker/Endpoints/{name}"
    said = outcome.body.decode("utf-8", "replace")
    message = model_error(outcome.status, said, region, account_id, name)
    return AwsError(
        "ModelError",
        message,
        424,
        members={
            "OriginalStatusCode": outcome.status,
            "OriginalMessage": said,
            "LogStreamArn": arns.make("logs", region, account_id, f"log-group:{group}"),
        },
    )
