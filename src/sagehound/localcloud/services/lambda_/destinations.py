"""Where the outcome of an event goes: another function, or for failures a bucket, with the permissions of the role.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from sagehound.localcloud.services.lambda_.errors import invalid, unsupported
from sagehound.localcloud.services.lambda_.event_table import Event
from sagehound.localcloud.services.lambda_.invocation_needs import Authoriser, Functions, ObjectWriter, Target
from sagehound.localcloud.services.lambda_.invoker import Ran
from sagehound.localcloud.services.lambda_.names import PRINCIPAL
from sagehound.localcloud.state import arns

Record = dict[str, Any]

_REFUSED = {"sqs": "SQS queues", "sns": "SNS topics", "events": "EventBridge buses"}
_ACTIONS = {"lambda": ("lambda:InvokeFunction", "InvokeFunction"), "s3": ("s3:PutObject", "PutObject")}


class Destinations:
    """Checks destinations when they are configured, and says again whether the role may when a record is due."""

    def __init__(self, functions: Functions, authoriser: Authoriser, objects: ObjectWriter) -> None:
        self._functions = functions
        self._authoriser = authoriser
        self._objects = objects

    def check(self, region: str, name: str, version: str, config: Record) -> None:
        """InvalidParameterValueException for a DestinationConfig that could never work; SQS and others by name."""
        for member in ("OnSuccess", "OnFailure"):
            arn = config.get(member, {}).get("Destination")
            if arn:
                self._check_one(region, name, member, arn, config)
                reason = self.denied(region, name, version, arn)
                if reason is not None:
                    operation = _ACTIONS[service_of(arn)][1]
                    raise invalid(
                        f"The function's execution role does not have permissions to call {operation} on {arn}"
                    )

    def _check_one(self, region: str, name: str, member: str, arn: str, config: Record) -> None:
        service = service_of(arn)
        if arn.startswith("kafka://") or service in _REFUSED:
            what = _REFUSED.get(service, "Kafka topics")
            raise unsupported(f"{what} as destinations ({member} {arn}): a function, or a bucket for failures")
        if service == "lambda":
            target = self._functions.resolve(region, arn, None)
            if target.name == name:
                raise invalid("You can't specify the function as a destination for itself.")
        elif service == "s3" and member == "OnFailure":
            bucket = arns.parse(arn).resource
            if self._objects.bucket_region(bucket) is None:
                raise invalid(f"The destination ARN {arn} is invalid or does not exist.")
        else:
            raise invalid(_invalid_config(config))

    def denied(self, region: str, name: str, version: str, arn: str) -> str | None:
        """Why the role of a version may not write to a destination; None when it may."""
        role_arn = self._functions.version(region, name, version)["Role"]
        service = service_of(arn)
        resource = f"{arn}/{_prefix(name)}*" if service == "s3" else arn
        return self._authoriser.denied(
            role_arn, name, _ACTIONS[service][0], resource, None, region=region, via=PRINCIPAL
        )

    def target(self, region: str, arn: str) -> Target:
        """The function that is a destination."""
        return self._functions.resolve(region, arn, None)

    def store(self, arn: str, event: Event, record: bytes, now: datetime) -> None:
        """Put the record of a failed event into a bucket, under AWS's key. Blocking."""
        moment = f"{now:%Y-%m-%dT%H.%M.%S}"
        key = f"{_prefix(event.name)}{now:%Y/%m/%d}/{moment}-{uuid.uuid4()}"
        self._objects.put_bytes(arns.parse(arn).resource, key, record, "application/json")


def _prefix(name: str) -> str:
    return f"aws/lambda/async/{name}/"


def service_of(arn: str) -> str:
    """The service of a destination's ARN; '' when it is no ARN."""
    try:
        return arns.parse(arn).service
    except ValueError:
        return ""


def record_of(event: Event, condition: str, ran: Ran | None, now: datetime) -> bytes:
    """The record that a destination is given, with the event and what became of it."""
    qualified = event.arn.endswith(f":{event.qualifier}")
    record: Record = {
        "version": "1.0",
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": event.arn if qualified else f"{event.arn}:{event.qualifier}",
            "condition": condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": json.loads(event.payload),
    }
    if ran is not None:
        record["responseContext"] = {"statusCode": 200, "executedVersion": ran.version}
        if ran.outcome.error is not None:
            record["responseContext"]["functionError"] = ran.outcome.error
        record["responsePayload"] = _document(ran.outcome.payload)
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _document(payload: bytes) -> Any:
    """A handler's answer is JSON; what is none is given as text."""
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        return payload.decode("utf-8", "replace")


def _invalid_config(config: Record) -> str:
    words = []
    for member, name in (("OnSuccess", "onSuccess"), ("OnFailure", "onFailure")):
        arn = config.get(member, {}).get("Destination")
        words.append(f"{name}={f'{member}(destination={arn})' if arn else 'null'}")
    return f"The provided destination config DestinationConfig({', '.join(words)}) is invalid."
