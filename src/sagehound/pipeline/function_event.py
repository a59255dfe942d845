"""Test events: what a function is sent, and what it answers, with the time that it took and whether it was warm."""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names
from sagehound.pipeline.upload import StoredData, stored_data

MOST_EVENT = 6_000_000
"""Bytes that Lambda takes in one synchronous call."""
_PRESIGNED_SECONDS = 900
_EVENT_HINT = 'As in --event \'{"url": "https://..."}\'.'
_INIT = re.compile(r"Init Duration: ([0-9.]+) ms")
_BILLED = re.compile(r"Billed Duration: ([0-9.]+) ms")


@dataclass(frozen=True)
class FunctionAnswer:
    """What a function answered to one event."""

    event: dict[str, Any]
    status: int
    """statusCode of the answer; 0 where it has none."""
    body: Any
    """The answer's body, read as JSON where it is JSON."""
    answer: Any
    """All that the function returned."""
    error: str
    """Lambda's word where the function itself failed: Unhandled; else empty."""
    seconds: float
    billed_ms: float | None
    init_ms: float | None
    """What the call waited for a new environment; None where it found one."""
    version: str
    log: str

    @property
    def scores(self) -> list[float] | None:
        """The picture's scores, where the body is what the endpoint's container gives: [[score, ...]]."""
        rows = self.body
        if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], list):
            return rows[0]
        return None

    @property
    def names(self) -> list[tuple[str, float]]:
        """(label, score) from the best on, where names were asked for."""
        found = self.body.get("predictions", []) if isinstance(self.body, dict) else []
        return [(str(one["label"]), float(one["score"])) for one in found]

    @property
    def refusal(self) -> str:
        """The error's name in a body that is a refusal: AccessDenied, PictureRefused ..."""
        return str(self.body.get("error", "")) if isinstance(self.body, dict) else ""

    @property
    def denied(self) -> bool:
        """Whether IAM denied what the function asked for: our handler says so, another one fails with AWS's error."""
        said = str(self.answer.get("errorMessage", "")) if self.error and isinstance(self.answer, dict) else ""
        return self.refusal == "AccessDenied" or "(AccessDenied" in said

    def in_a_word(self) -> str:
        """200, 502 AccessDenied, Unhandled: ..."""
        if self.error:
            said = self.answer.get("errorMessage", "") if isinstance(self.answer, dict) else ""
            return f"{self.error}: {said}"
        return " ".join(word for word in (str(self.status) if self.status else "no statusCode", self.refusal) if word)

    def timing(self) -> str:
        """12 ms warm, or 840 ms cold (its environment took 310 ms)."""
        took = f"{self.seconds * 1000:.0f} ms"
        return f"{took} warm" if self.init_ms is None else f"{took} cold (its environment took {self.init_ms:.0f} ms)"

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``)."""
        return {
            "event": shown_event(self.event),
            "status": self.status,
            "error": self.error or self.refusal,
            "answer": self.answer,
            "milliseconds": round(self.seconds * 1000, 3),
            "billed_milliseconds": self.billed_ms,
            "init_milliseconds": self.init_ms,
            "version": self.version,
        }


@dataclass(frozen=True)
class EventPicture:
    """A picture that an event is about: its address, and the class that its folder names."""

    event: dict[str, Any]
    shown: str
    label: str


def stored_picture(clients: Clients, names: Names, data: StoredData | None, data_name: str = "") -> EventPicture:
    """A picture of the test split as it lies in the project's bucket, by an address that is good for some minutes.

    Presigned, because the bucket is closed: on AWS it is a public address like any other, and the local cloud's own
    is one that its endpoints are allowed (see deploy). Raises StepFailed where nothing was uploaded.
    """
    data = data or stored_data(clients, names, data_name, step="function")
    with aws_step("function"):
        prefix = data.uri.removeprefix(f"s3://{names.bucket}/")
        keys = sorted(list_objects(clients, names.bucket, f"{prefix}test/"))
    if not keys:
        hint = "Name a picture: `sagehound function --picture FILE`, or send an event: --event JSON."
        raise StepFailed("function", "the test split is empty", hint)
    key = keys[int(data.digest[:8], 16) % len(keys)]
    url = clients.presigned(names.bucket, key, _PRESIGNED_SECONDS)
    address, folder, name = urlsplit(url), *key.split("/")[-2:]
    return EventPicture({"url": url}, f"{address.scheme}://{address.netloc}/.../{folder}/{name}", folder)


def picture_event(path: Path) -> EventPicture:
    """A picture of this machine, in the event itself; raises StepFailed where it is too large for one."""
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise StepFailed("function", f"{path} cannot be read: {error}", "Name a picture that is there.") from error
    event = {"image": base64.b64encode(content).decode()}
    if len(event["image"]) > MOST_EVENT - 1000:
        raise StepFailed(
            "function",
            f"{path} has {len(content):,} bytes, more than an event can hold",
            'Make it smaller, or send its address: --event \'{"url": "https://..."}\'.',
        )
    return EventPicture(event, path.name, path.expanduser().resolve().parent.name)


def read_event(text: str) -> EventPicture:
    """An event as it was written on the command line; raises StepFailed where it is no JSON object."""
    try:
        event = json.loads(text)
    except ValueError as error:
        raise StepFailed("function", f"--event is not JSON: {error}", _EVENT_HINT) from error
    if not isinstance(event, dict):
        raise StepFailed("function", "--event is no JSON object", _EVENT_HINT)
    return EventPicture(event, json.dumps(shown_event(event), ensure_ascii=False), "")


def shown_event(event: dict[str, Any]) -> dict[str, Any]:
    """The event without what is long or secret in it: a picture's bytes, an address's signature."""
    shown = dict(event)
    for name, value in event.items():
        if isinstance(value, str) and len(value) > 200:
            shown[name] = value.partition("?")[0] if value.startswith("http") else f"{len(value):,} characters"
    return shown


def send_event(clients: Clients, function: str, qualifier: str, event: dict[str, Any], timeout: int) -> FunctionAnswer:
    """Invoke the function with one event and wait for its answer."""
    # One try, and longer than the function may take: a second one would hide what the first met.
    client = clients.client("lambda", read_timeout=timeout + 10, retries={"mode": "standard", "total_max_attempts": 1})
    began = time.perf_counter()
    response = client.invoke(
        FunctionName=function, Qualifier=qualifier, LogType="Tail", Payload=json.dumps(event).encode()
    )
    payload = response["Payload"].read()
    seconds = time.perf_counter() - began
    log = base64.b64decode(response.get("LogResult", "")).decode("utf-8", "replace")
    answer = _json(payload)
    body = answer.get("body") if isinstance(answer, dict) else None
    status = answer.get("statusCode") if isinstance(answer, dict) else None
    return FunctionAnswer(
        event=event,
        status=status if isinstance(status, int) else 0,
        body=_json(body) if isinstance(body, str) else body,
        answer=answer,
        error=str(response.get("FunctionError", "")),
        seconds=seconds,
        billed_ms=_figure(_BILLED, log),
        init_ms=_figure(_INIT, log),
        version=str(response.get("ExecutedVersion", "")),
        log=log,
    )


def _json(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _figure(pattern: re.Pattern[str], log: str) -> float | None:
    found = pattern.findall(log)
    return float(found[-1]) if found else None
