"""The calls that a step would make: those that only read are made, those that write are answered by a planned world.

botocore asks its event handlers before it sends a request, and takes an answer of theirs for the service's own. So
this is the one place that knows of a plan: the steps call AWS as always, and walk on with what they are answered.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

_READING = re.compile(r"^(Get|List|Describe|Head|Lookup|Filter|Search|Simulate)(?![a-z])")
_STREAMS = ("Body", "Payload")
_CONTEXT = "sagehound_planned_params"
_SENDING = "before-call"
_BUILDING = "provide-client-params"


@dataclass(frozen=True)
class Call:
    """One call of AWS with its parameters as boto3 takes them."""

    service: str
    """The service as IAM and CloudTrail name it in front of an action: sagemaker, s3, monitoring ..."""
    operation: str
    params: Mapping[str, Any]
    output: Any
    """botocore's shape of the answer; None where there is none."""

    @property
    def reads(self) -> bool:
        """Whether it changes nothing (what asks an endpoint or a function costs something, and is none)."""
        return _READING.match(self.operation) is not None

    @property
    def name(self) -> str:
        """As in sagemaker:CreateTrainingJob."""
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error: its code and message."""

    code: str
    message: str


class World(Protocol):
    """What there would be if the calls so far had been made."""

    def answer(self, call: Call) -> dict[str, Any] | Refusal | None:
        """The answer to a call; None for a read that AWS itself knows the answer to."""


class Interceptor:
    """Writes down every call of a session's clients, and lets none that writes get through."""

    def __init__(self, world: World, heard: Callable[[Call], None]) -> None:
        self._world = world
        self._heard = heard
        self._lock = threading.RLock()

    def listen(self, events: Any) -> None:
        """Hear of everything that clients made from now on with this session do."""
        events.register_first(_BUILDING, self._build)
        events.register_first(_SENDING, self._send)

    def _build(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[_CONTEXT] = dict(params)

    def _send(self, model: Any, context: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
        call = Call(model.service_model.signing_name, model.name, context.get(_CONTEXT, {}), model.output_shape)
        with self._lock:  # pictures are sent by several threads
            self._heard(call)
            answer = self._world.answer(call)
        if answer is None:
            if call.reads:
                return None
            answer = {}
        if isinstance(answer, Refusal):
            told = {"Error": {"Code": answer.code, "Message": answer.message}}
            return _Http(400), {**told, "ResponseMetadata": {"HTTPStatusCode": 400}}
        # botocore decodes what it is answered in place: the world keeps its own.
        told = {name: value if name in _STREAMS else copy.deepcopy(value) for name, value in answer.items()}
        return _Http(200), {**told, "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}}}


@dataclass(frozen=True)
class _Http:
    """What botocore looks at of an answer: its status."""

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
