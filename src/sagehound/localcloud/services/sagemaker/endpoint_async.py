"""Asynchronous inference as data: what InvokeEndpointAsync accepts, and where its result or its failure will lie."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import model_data
from sagehound.localcloud.services.sagemaker.endpoint_capture import destination
from sagehound.localcloud.services.sagemaker.endpoint_status import Record, is_serverless, unsupported

INVOCATION = "sagemaker:async-invocation"
MAX_INLINE = 128_000
MAX_INPUT = 1 << 30
"""Bytes of an input in S3: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html."""
DEFAULT_TTL = 21_600
DEFAULT_LIMIT = 900
CONCURRENCY = 4
"""Requests at a time for each instance, unless MaxConcurrentInvocationsPerInstance says otherwise."""


class Accepted(NamedTuple):
    """The answer to InvokeEndpointAsync."""

    inference_id: str
    output_location: str
    failure_location: str | None


def check(config: Record) -> None:
    """What CreateEndpointConfig refuses of an AsyncInferenceConfig, and of what stands beside it."""
    output = config["AsyncInferenceConfig"]["OutputConfig"]
    if output.get("NotificationConfig"):
        raise unsupported("NotificationConfig of an AsyncInferenceConfig (Amazon SNS is not here)")
    if "S3OutputPath" not in output:
        raise validation("S3OutputPath is required in the OutputConfig of an AsyncInferenceConfig.")
    for member in ("S3OutputPath", "S3FailurePath"):
        if member in output:
            destination(output[member], member)
    if any(is_serverless(variant) for variant in config["ProductionVariants"]):
        raise validation("AsyncInferenceConfig and ServerlessConfig cannot be specified together.")
    # Input and result are read and written as one role, which is the model's.
    if len(config["ProductionVariants"]) > 1:
        raise unsupported("AsyncInferenceConfig with more than one production variant")
    if config.get("DataCaptureConfig"):
        raise unsupported("DataCaptureConfig together with AsyncInferenceConfig")


def concurrency(config: Record) -> int:
    """Requests at a time for each instance."""
    found: int = config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", CONCURRENCY)
    return found


def invocation(request: Mapping[str, Any], body: bytes, config: Record, region: str, now: float) -> Record:
    """The record of an accepted request; ValidationError for one that cannot be."""
    number = str(uuid.uuid4())
    record: Record = {
        "Id": number,
        "EndpointName": request["EndpointName"],
        "Region": region,
        "InferenceId": request.get("InferenceId", number),
        "Headers": {name: request[name] for name in ("ContentType", "Accept", "CustomAttributes") if name in request},
        "AcceptedAt": now,
        "TTL": request.get("RequestTTLSeconds", DEFAULT_TTL),
        "Limit": request.get("InvocationTimeoutSeconds", DEFAULT_LIMIT),
        **_input(request, body),
    }
    output, extension = config["OutputConfig"], request.get("S3OutputPathExtension")
    record["Output"] = _place(output["S3OutputPath"], extension, request.get("Filename", f"{number}.out"))
    if "S3FailurePath" in output:
        record["Failure"] = _place(output["S3FailurePath"], extension, f"{number}-error.out")
    return record


def accepted(record: Record) -> Accepted:
    """What the caller is told of it."""
    failure = record.get("Failure")
    return Accepted(record["InferenceId"], address(record["Output"]), address(failure) if failure else None)


def address(place: list[str]) -> str:
    """A bucket and a key as the address of an object."""
    return f"s3://{place[0]}/{place[1]}"


def inline(record: Record) -> bytes | None:
    """The body that came with the request; None when it lies in S3."""
    return base64.b64decode(record["Body"]) if "Body" in record else None


def _input(request: Mapping[str, Any], body: bytes) -> Record:
    if bool(body) == ("InputLocation" in request):
        raise AwsError("ValidationError", "Exactly one of Body and InputLocation must be given.", 400)
    if not body:
        try:
            bucket, key = model_data.location(request["InputLocation"])
        except ValueError as error:
            said = f"Invalid InputLocation {request['InputLocation']!r}: it must be the S3 address of an object."
            raise AwsError("ValidationError", said, 400) from error
        return {"Input": [bucket, key]}
    if len(body) > MAX_INLINE:
        raise AwsError("ValidationError", f"The inline payload has more than {MAX_INLINE} bytes.", 400)
    return {"Body": base64.b64encode(body).decode("ascii")}


def _place(path: str, extension: str | None, name: str) -> list[str]:
    bucket, prefix = destination(path)
    parts = [prefix, (extension or "").strip("/"), name]
    return [bucket, "/".join(part for part in parts if part)]
