"""Data capture of a variant: which invocations are taken, and the JSON line that each of them becomes.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html. AWS does not say what it captures of an
invocation that fails: here it is what the container has answered with 2xx.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.sagemaker import model_data
from sagehound.localcloud.state.clock import Clock

INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
MAX_HELD = 64 << 20
"""Bytes of captured bodies that are kept in memory at most; what comes beyond is not captured, and counted."""
_EVENT_BYTES = 1024
"""What an event takes beside its bodies, roughly."""
_INPUT = frozenset({"Input", "InputAndOutput"})
_OUTPUT = frozenset({"Output", "InputAndOutput"})


class Event(NamedTuple):
    """One invocation that was taken: the bodies themselves, not copies."""

    time: float
    inference_id: str | None
    custom_attributes: str | None
    content_type: str | None
    body: bytes
    answer_type: str | None
    answer: bytes

    @property
    def size(self) -> int:
        """The memory that it holds."""
        return len(self.body) + len(self.answer) + _EVENT_BYTES


@dataclass(frozen=True, slots=True)
class Rules:
    """A variant's DataCaptureConfig, whose name the files bear, and the role with which they are written."""

    region: str
    endpoint: str
    variant: str
    role_arn: str
    bucket: str
    prefix: str
    percentage: int
    inputs: bool
    outputs: bool
    csv: frozenset[str]
    json: frozenset[str]

    def key(self, moment: float, name: str) -> str:
        """Where a file lies that begins with an invocation of this moment."""
        began = datetime.fromtimestamp(moment, UTC)
        file = f"{began:%M-%S}-{began.microsecond // 1000:03d}-{name}.jsonl"
        parts = [self.prefix, self.endpoint, self.variant, f"{began:%Y/%m/%d/%H}", file]
        return "/".join(part for part in parts if part)

    def line(self, event: Event) -> bytes:
        """The event as one line of a file, its id a new one."""
        metadata: dict[str, Any] = {"eventId": str(uuid.uuid4())}
        if event.custom_attributes is not None:
            metadata["customAttributes"] = [event.custom_attributes]
        if event.inference_id is not None:
            metadata["inferenceId"] = event.inference_id
        metadata["inferenceTime"] = f"{datetime.fromtimestamp(event.time, UTC):%Y-%m-%dT%H:%M:%SZ}"
        sides = []
        if self.inputs:
            sides.append([b'"endpointInput":', *self._payload("INPUT", event.content_type, event.body)])
        if self.outputs:
            sides.append([b'"endpointOutput":', *self._payload("OUTPUT", event.answer_type, event.answer)])
        captured = [*sides[0], *([b",", *sides[1]] if len(sides) > 1 else [])]
        ends = b'},"eventMetadata":', _json(metadata), b',"eventVersion":"0"}\n'
        return b"".join((b'{"captureData":{', *captured, *ends))

    def _payload(self, mode: str, content_type: str | None, body: bytes) -> tuple[bytes, ...]:
        """CSV and JSON as they are where CaptureContentTypeHeader lists the type, all else as BASE64.

        Bytes are put together here: a picture that is written as BASE64 and then as JSON takes twice as long.
        """
        media = (content_type or "").split(";")[0].strip().lower()
        encoding = "CSV" if media in self.csv else "JSON" if media in self.json else "BASE64"
        data = b""
        if encoding != "BASE64":
            try:
                data = _json(body.decode())
            except UnicodeDecodeError:  # what its header says of it is not so
                encoding = "BASE64"
        if encoding == "BASE64":
            data = b"".join((b'"', base64.b64encode(body), b'"'))
        observed = () if content_type is None else (b'"observedContentType":', _json(content_type), b",")
        rest = f'"mode":"{mode}","data":'.encode(), data, f',"encoding":"{encoding}"}}'.encode()
        return (b"{", *observed, *rest)


class Budget:
    """The memory that all captures share; asked and given back on the event loop only."""

    def __init__(self, limit: int = MAX_HELD) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Whether there is room for so much, which then is taken."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """So much has been written."""
        self._left += size


class Capture:
    """What was taken of one variant and waits to be written. On the way of a request this is a number and an append."""

    def __init__(self, rules: Rules, clock: Clock, budget: Budget) -> None:
        self.rules = rules
        self.lost = 0
        """Invocations for which there was no room."""
        self._clock = clock
        self._budget = budget
        self._waiting: list[Event] = []
        self._random = random.Random()

    def take(self, headers: Mapping[str, str], body: bytes, answered: Mapping[str, str], answer: bytes) -> None:
        """Take an invocation, or not, as the sampling percentage has it."""
        if self._random.random() * 100 >= self.rules.percentage:
            return
        event = Event(
            self._clock.time(),
            headers.get(INFERENCE_ID),
            headers.get(CUSTOM_ATTRIBUTES),
            headers.get("Content-Type"),
            body,
            answered.get("content-type"),
            answer,
        )
        if self._budget.take(event.size):
            self._waiting.append(event)
        else:
            self.lost += 1

    @property
    def waits(self) -> bool:
        """Whether there is something to write, or to say."""
        return bool(self._waiting or self.lost)

    def hand_over(self) -> tuple[list[Event], int]:
        """What waits, and how many were lost; both are the caller's now, who gives the memory back."""
        handed = self._waiting, self.lost
        self._waiting, self.lost = [], 0
        return handed

    def written(self, events: list[Event]) -> None:
        """What was handed over is no longer in memory."""
        self._budget.give_back(sum(event.size for event in events))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def destination(uri: str, member: str = "DestinationS3Uri") -> tuple[str, str]:
    """Bucket and prefix of an S3 address; ValidationException, which names the member, when it is none."""
    if uri.startswith("s3://"):
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        if bucket:
            return bucket, prefix.strip("/")
    try:
        bucket, prefix = model_data.location(uri.rstrip("/") + "/.")
    except ValueError as error:
        raise validation(f"Invalid {member} {uri!r}: it must look like s3://bucket/prefix.") from error
    return bucket, prefix.removesuffix(".").strip("/")


def enabled(config: Mapping[str, Any]) -> bool:
    """Whether a DataCaptureConfig captures anything: EnableCapture is true unless it says otherwise."""
    return bool(config.get("EnableCapture", True))


def rules_of(config: Mapping[str, Any], region: str, endpoint: str, variant: Mapping[str, Any]) -> Rules:
    """What a DataCaptureConfig means for a variant of a deployment."""
    bucket, prefix = destination(config["DestinationS3Uri"])
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    listed = config.get("CaptureContentTypeHeader", {})
    return Rules(
        region,
        endpoint,
        variant["VariantName"],
        variant["ExecutionRoleArn"],
        bucket,
        prefix,
        config["InitialSamplingPercentage"],
        bool(modes & _INPUT),
        bool(modes & _OUTPUT),
        frozenset(media.lower() for media in listed.get("CsvContentTypes", [])),
        frozenset(media.lower() for media in listed.get("JsonContentTypes", [])),
    )


def summary(config: Mapping[str, Any], answers: bool) -> dict[str, Any]:
    """DataCaptureConfig as DescribeEndpoint shows it."""
    on = enabled(config)
    return {
        "EnableCapture": on,
        "CaptureStatus": "Started" if on and answers else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
