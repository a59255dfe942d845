"""InvokeEndpoint: a body to one of an endpoint's containers, and its answer back."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
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
    message = (
        f'Received server error ({outcome.status}) from primary with message "{said}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} in "
        f"account {account_id} for more information."
    )
    if 400 <= outcome.status < 500:
        message = message.replace("Received server error", "Received client error", 1)
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
