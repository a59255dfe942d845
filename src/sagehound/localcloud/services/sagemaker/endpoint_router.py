"""From an invocation to one instance: variants by weight, the least busy instance, and retries that repeat nothing."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagehound.localcloud.container import ledger
from sagehound.localcloud.container.invocations import Lost, Reply, Unreachable
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker.endpoint_health import NotHealthy
from sagehound.localcloud.services.sagemaker.endpoint_instance import Instance
from sagehound.localcloud.services.sagemaker.endpoint_metrics import EndpointMetrics, Invoked
from sagehound.localcloud.services.sagemaker.endpoint_serverless import Pool, Replaced
from sagehound.localcloud.services.sagemaker.endpoint_variants import InService, Variant

if TYPE_CHECKING:
    from sagehound.localcloud.services.sagemaker.endpoint_async_queue import AsyncQueues

INVOCATION_LIMIT = 60.0
"""Seconds that the container has for an answer."""
MAX_WAITING = 1000
"""Invocations of one endpoint that may wait for an instance to come back."""
NOT_STARTED = "x-not-started"
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
_ENDED = "The model server ended while it was working on this request."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the container answered, or status 0 and why it did not."""

    variant: str
    status: int
    headers: dict[str, str]
    body: bytes


class Router:
    """Every endpoint that answers, by region and name."""

    def __init__(self, metrics: EndpointMetrics, account_id: str) -> None:
        self._metrics = metrics
        self._account_id = account_id
        self._services: dict[tuple[str, str], InService] = {}
        self._random = random.Random()
        self.queues: AsyncQueues
        """Those of the asynchronous endpoints, which it is given when they are made."""

    def serve(self, region: str, name: str, variants: list[Variant]) -> None:
        """Send the endpoint's invocations to these variants from now on."""
        self._services.setdefault((region, name), InService()).variants = variants
        self.changed(region, name)

    def withdraw(self, region: str, name: str) -> None:
        """The endpoint answers no more."""
        if service := self._services.pop((region, name), None):
            service.wake()

    def changed(self, region: str, name: str) -> None:
        """An instance of the endpoint has become ready: whoever waits may look again."""
        if service := self._services.get((region, name)):
            service.wake()

    def services(self) -> list[tuple[tuple[str, str], InService]]:
        """The endpoints in service by region and name."""
        return list(self._services.items())

    def check(self, region: str, name: str) -> None:
        """ValidationError for an endpoint that is not in service."""
        if (region, name) not in self._services:
            raise self._not_found(name)

    def active(self, region: str, name: str) -> int:
        """How many instances of an endpoint are in service."""
        service = self._services.get((region, name))
        return 0 if service is None else sum(variant.active for variant in service.variants)

    async def invoke(
        self,
        region: str,
        name: str,
        body: bytes,
        headers: dict[str, str],
        target_variant: str | None,
        limit: float = INVOCATION_LIMIT,
    ) -> Outcome:
        """Send one invocation to one instance and return its answer, which it gives within `limit` seconds.

        Only what has reached no handler is sent again: a refused connection, an answer that says so, or a lost
        connection whose ledger entry is still empty. ValidationError for an endpoint that is not in service,
        ServiceUnavailable when every instance's queue is full, or when too many wait for an instance already.
        """
        began = time.perf_counter()
        deadline = began + limit
        full: set[str] = set()
        chosen: str | None = target_variant
        while True:
            service = self._services.get((region, name))
            if service is None:
                raise self._not_found(name)
            variant = self._choose(service, chosen, target_variant)
            chosen = variant.name
            if variant.pool is not None:
                try:
                    return await self._invoke_serverless(region, name, variant, variant.pool, body, headers, began)
                except Replaced:
                    continue
            if not full:
                ended = service.ended
            instance = variant.least_busy(full)
            if instance is None:
                if variant.all_among(full) or len(service.waiting) >= MAX_WAITING:
                    self._count(region, name, variant, None, began, None, 503)
                    raise AwsError("ServiceUnavailable", "The service is unavailable. Try your call again.", 503)
                # A queue may have got room since it was asked: nobody would wake who waits for that now.
                if service.ended == ended and not await self._wait(service, variant, deadline):
                    return self._timed_out(region, name, variant, began)
                full.clear()
                continue
            sent = time.perf_counter()
            outcome = await _send(instance, variant.name, body, headers, deadline - sent)
            if outcome is not None and NOT_STARTED not in outcome.headers:
                service.make_room(variant)
                self._count(region, name, variant, instance, began, time.perf_counter() - sent, outcome.status)
                if variant.capture is not None and 200 <= outcome.status < 300:
                    variant.capture.take(headers, body, outcome.headers, outcome.body)
                return outcome
            if outcome is not None and outcome.status == 413:
                return outcome
            if outcome is not None:
                full.add(instance.instance_id)
            else:
                instance.doubt()
            if time.perf_counter() > deadline:
                return self._timed_out(region, name, variant, began)

    async def _invoke_serverless(
        self, region: str, name: str, variant: Variant, pool: Pool, body: bytes, headers: dict[str, str], began: float
    ) -> Outcome:
        """One invocation of a serverless variant: what waits for a cold start has reached no handler yet."""
        deadline = began + INVOCATION_LIMIT
        if not pool.enter():
            self._count(region, name, variant, None, began, None, 429)
            said = f"Rate exceeded: {pool.limit} invocation(s) are in progress (MaxConcurrency)."
            raise AwsError("ThrottlingException", said, 429)
        try:
            while time.perf_counter() < deadline:
                instance = await pool.take(deadline - time.perf_counter())
                sent = time.perf_counter()
                try:
                    outcome = await _send(instance, variant.name, body, headers, deadline - sent)
                finally:
                    pool.give_back(instance)
                if outcome is None:
                    instance.doubt()
                    continue
                self._count(region, name, variant, instance, began, time.perf_counter() - sent, outcome.status)
                return outcome
        except TimeoutError:
            pass  # of a cold start, which goes on for whoever comes next
        except NotHealthy as error:
            self._count(region, name, variant, None, began, None, 0)
            return Outcome(variant.name, 0, {}, str(error).encode())
        finally:
            pool.exit()
        return self._timed_out(region, name, variant, began)

    def _choose(self, service: InService, chosen: str | None, target: str | None) -> Variant:
        """The variant asked for, the one chosen before if it is still there, otherwise one by weight."""
        for variant in service.variants:
            if variant.name == chosen:
                return variant
        if target is not None:
            raise AwsError("ValidationError", f"Variant {target} not found for Request", 400)
        weights = [variant.weight for variant in service.variants]
        if len(weights) == 1:
            return service.variants[0]
        if not any(weights):
            raise AwsError("ValidationError", "No variant of the endpoint has a weight above 0.", 400)
        return self._random.choices(service.variants, weights)[0]

    async def _wait(self, service: InService, variant: Variant, deadline: float) -> bool:
        """Until an instance has become ready, or has room again; False when it takes too long."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        service.waiting[woken] = variant.name
        try:
            async with asyncio.timeout(max(0.0, deadline - time.perf_counter())):
                await woken
        except TimeoutError:
            return False
        finally:
            service.waiting.pop(woken, None)
        return True

    def _timed_out(self, region: str, name: str, variant: Variant, began: float) -> Outcome:
        self._count(region, name, variant, None, began, None, 0)
        return Outcome(variant.name, 0, {}, _TIMED_OUT.encode())

    def _not_found(self, name: str) -> AwsError:
        return AwsError("ValidationError", f"Endpoint {name} of account {self._account_id} not found.", 400)

    def _count(
        self,
        region: str,
        name: str,
        variant: Variant,
        instance: Instance | None,
        began: float,
        model_seconds: float | None,
        status: int,
    ) -> None:
        total, instance_id = time.perf_counter() - began, instance.instance_id if instance else None
        self._metrics.count(Invoked(region, name, variant, instance_id, total, model_seconds, status))


async def _send(
    instance: Instance, variant: str, body: bytes, headers: dict[str, str], seconds: float
) -> Outcome | None:
    """One attempt; None when it provably reached no handler."""
    connections, book = instance.connections, instance.ledger
    if connections is None or book is None:
        return None
    slot = book.take()
    sent = {**headers, ledger.HEADER: str(slot)} if slot is not None else headers
    instance.enter()
    answered = False
    try:
        reply: Reply = await connections.request("POST", "/invocations", sent, body, limit=seconds)
        answered = True
    except Unreachable:
        return None
    except Lost:
        return Outcome(variant, 0, {}, _ENDED.encode()) if book.begun(slot) else None
    except TimeoutError:
        return Outcome(variant, 0, {}, _TIMED_OUT.encode())
    finally:
        instance.exit()
        # Of a request that was given up the handler may begin later: its slot stays taken while the server lives.
        if answered or instance.connections is not connections:
            book.give_back(slot)
    return Outcome(variant, reply.status, reply.headers, reply.body)
