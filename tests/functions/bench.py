"""A bench for the engine: functions from their source text, invocations of them, and what they have logged."""

from __future__ import annotations

import json
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from sagehound.localcloud.functions.environments import Environments
from sagehound.localcloud.functions.spec import FunctionSpec, Invocation, Outcome

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
ROLE = "arn:aws:iam::000000000000:role/r"


class Bench:
    """An engine whose functions have credentials and logs of this bench."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.logged: dict[str, list[str]] = {}
        self.sessions = 0
        self.expiration = time.time() + 12 * 3600
        given = {"hidden": (folder,), **settings}
        self.engine = Environments(
            folder / "engine",
            credentials=self._session,
            logs=self._log,
            endpoint_url=lambda: "http://127.0.0.1:9",
            **given,
        )

    async def __aenter__(self) -> Self:
        await self.engine.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.stop()

    def _session(self, spec: FunctionSpec) -> dict[str, Any]:
        self.sessions += 1
        return {
            "AccessKeyId": f"ASIA{self.sessions:016}",
            "SecretAccessKey": f"secret-of-{spec.name}",
            "SessionToken": f"token-of-{spec.name}",
            "Expiration": datetime.fromtimestamp(self.expiration, UTC),
        }

    def _log(self, _spec: FunctionSpec, stream: str, events: list[tuple[int, str]]) -> None:
        self.logged.setdefault(stream, []).extend(text for _, text in events)

    def function(self, source: str, name: str = "", **settings: Any) -> FunctionSpec:
        """A function whose handler.py is `source`; settings as in FunctionSpec."""
        name = name or f"f{uuid4().hex[:8]}"
        code = self.folder / "code" / name
        code.mkdir(parents=True)
        (code / "handler.py").write_text(textwrap.dedent(source))
        given: dict[str, Any] = {
            "key": name, "function_arn": ARN + name, "name": name, "version": "$LATEST",
            "handler": "handler.lambda_handler", "runtime": "python3.12", "role_arn": ROLE,
            "memory_size": 128, "timeout": 20, "ephemeral_storage": 512, "environment": {}, "code": code, "layers": (),
            "region": "us-east-1", "account_id": "000000000000", "log_group": f"/aws/lambda/{name}",
        }  # fmt: skip
        return FunctionSpec(**{**given, **settings})

    async def invoke(self, spec: FunctionSpec, event: Any = None, provisioned: bool = False) -> Outcome:
        """One invocation."""
        return await self.engine.invoke(spec, invocation(event), provisioned=provisioned)

    async def answer(self, spec: FunctionSpec, event: Any = None) -> Any:
        """What the handler returned; AssertionError when it did not."""
        outcome = await self.invoke(spec, event)
        assert outcome.error is None, outcome
        return json.loads(outcome.payload)


def invocation(event: Any, client_context: str | None = None) -> Invocation:
    """An event on its way."""
    trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0"
    return Invocation(str(uuid4()), json.dumps(event).encode(), ARN + "f:live", client_context, trace)


def lines(outcome: Outcome) -> list[str]:
    """The invocation's log as LogType=Tail gives it."""
    return outcome.log_tail.decode().splitlines()
