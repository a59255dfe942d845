"""Running one invocation: its version, its place among those that run, its environment, and what it counts as."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.functions.launcher import StartFailed
from sagehound.localcloud.functions.spec import Invocation, Outcome
from sagehound.localcloud.services.lambda_.concurrency import Concurrency
from sagehound.localcloud.services.lambda_.invocation_needs import Engine, Functions, Target
from sagehound.localcloud.services.lambda_.metrics import FunctionMetrics
from sagehound.localcloud.services.lambda_.names import LATEST

MAX_PAYLOAD = 6 * 1024 * 1024
"""Bytes of a request."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What an invocation came to, and which version ran."""

    version: str
    outcome: Outcome


class Invoker:
    """Every way to a function ends here: Invoke, its events, its URL, and the destinations of other functions."""

    def __init__(
        self, functions: Functions, engine: Engine, concurrency: Concurrency, metrics: FunctionMetrics
    ) -> None:
        self._functions = functions
        self._engine = engine
        self._concurrency = concurrency
        self._metrics = metrics
        self._random = random.Random()
        self._ran: dict[tuple[str, str, str], str] = {}
        """Region, function and version -> the key of the environments that they have."""
        functions.listeners.append(self._changed)

    def resolve(self, region: str, function_name: str, qualifier: str | None) -> Target:
        """The function, version or alias; ResourceNotFoundException."""
        return self._functions.resolve(region, function_name, qualifier)

    def choose(self, target: Target) -> str:
        """The version that a call goes to: an alias with routing chooses by weight."""
        versions = target.versions
        if len(versions) == 1:
            return versions[0][0]
        return self._random.choices([version for version, _ in versions], [weight for _, weight in versions])[0]

    async def run(
        self,
        region: str,
        target: Target,
        payload: bytes,
        request_id: str,
        *,
        client_context: str | None = None,
        trace_id: str | None = None,
    ) -> Ran:
        """One invocation, to its end; TooManyRequestsException when there is no place for it."""
        version = self.choose(target)
        spec = self._functions.spec(region, target.name, version)
        if self._ran.get((region, target.name, version)) != spec.key:
            self._replace((region, target.name, version), spec.key)
        ready = 0 if version == LATEST else self._engine.provisioned(spec.key)[0]
        try:
            slot = self._concurrency.enter(region, target.name, version, ready)
        except AwsError:
            self._metrics.throttled(region, target, version)
            raise
        invocation = Invocation(request_id, payload, target.arn, client_context, trace_id or new_trace_id())
        try:
            outcome = await self._engine.invoke(spec, invocation, provisioned=slot.provisioned)
        except StartFailed as reason:
            raise AwsError("ServiceException", f"No environment could be started: {reason}", 500) from reason
        finally:
            self._concurrency.leave(slot)
        self._metrics.invoked(region, target, slot, outcome)
        return Ran(version, outcome)

    def _replace(self, version: tuple[str, str, str], key: str | None) -> None:
        """From now on a version's environments are those of another key, or it has none: the others end."""
        before = self._ran.pop(version, None)
        if before is not None:
            self._engine.retire(before)
        if key is not None:
            self._ran[version] = key

    def _changed(self, region: str, name: str, _: str | None) -> None:
        """Look which versions of a function have other code or settings than their environments, or are gone."""
        for version in [version for version in self._ran if version[:2] == (region, name)]:
            try:
                key: str | None = self._functions.spec(*version).key
            except AwsError:
                key = None
            if key != self._ran[version]:
                self._replace(version, key)


def new_trace_id() -> str:
    """An X-Ray header of a trace that nobody samples."""
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
