"""The queues of asynchronous endpoints: every accepted request is handled, also after a server that was killed.

A request that was being handled when the server ended is handled again by the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sagehound.localcloud.container.invocations import model_error
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker import endpoint_async
from sagehound.localcloud.services.sagemaker.endpoint_async import INVOCATION, Accepted
from sagehound.localcloud.services.sagemaker.endpoint_capture import CUSTOM_ATTRIBUTES, INFERENCE_ID
from sagehound.localcloud.services.sagemaker.endpoint_metrics import INVOCATIONS
from sagehound.localcloud.services.sagemaker.endpoint_router import Outcome, Router
from sagehound.localcloud.services.sagemaker.endpoint_status import Record
from sagehound.localcloud.services.sagemaker.needs import MetricCounter
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import RoleLog

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Requests that wait in one endpoint's queue at most; AWS does not say how many it keeps."""
_AGAIN_SECONDS = 30.0
"""After which a request that a fault of the machine has interrupted is handled again."""
_LOOK_SECONDS = 1.0
"""After which a queue looks again whether there are more instances, or room in them."""
_MINUTE = 60
_HEADERS = {"ContentType": "Content-Type", "Accept": "Accept", "CustomAttributes": CUSTOM_ATTRIBUTES}


class _NotDone(Exception):
    """The request failed; the text is what its failure says, the metric counts its kind."""

    def __init__(self, said: str, metric: str | None = None) -> None:
        super().__init__(said)
        self.metric = metric


class _Queue:
    """One endpoint's requests, the oldest first."""

    def __init__(self, region: str, endpoint: str, deployment: Record) -> None:
        self.region = region
        self.endpoint = endpoint
        self.deployment = deployment
        self.waiting: deque[str] = deque()
        """Their ids: what came with them stays in the store."""
        self.running: set[asyncio.Task[None]] = set()
        self.wake = asyncio.Event()
        self.pump: asyncio.Task[None] | None = None

    @property
    def config(self) -> Record:
        found: Record = self.deployment["AsyncInferenceConfig"]
        return found

    @property
    def role_arn(self) -> str:
        return str(self.deployment["Variants"][0]["ExecutionRoleArn"])


class AsyncQueues:
    """The queues by region and endpoint. A request is in the store until its result, or its failure, is in S3."""

    def __init__(self, providers: Providers, router: Router, counter: MetricCounter) -> None:
        self._providers = providers
        self._store = providers.store
        self._router = router
        self._counter = counter
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._meter: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure the backlogs."""
        self._meter = asyncio.create_task(self._measure(), name="backlogs of asynchronous endpoints")

    async def stop(self) -> None:
        """Let go of what is being handled: the next start handles it."""
        if self._meter is not None:
            self._meter.cancel()
            await asyncio.wait({self._meter})
        for queue in self._queues.values():
            await self._end(queue)

    def has(self, region: str, endpoint: str) -> bool:
        """Whether the endpoint answers asynchronously."""
        return (region, endpoint) in self._queues

    def serve(self, region: str, endpoint: str, deployment: Record) -> None:
        """The endpoint serves this deployment from now on: with a queue, if it is an asynchronous one."""
        queue = self._queues.get((region, endpoint))
        if "AsyncInferenceConfig" not in deployment:
            self.withdraw(region, endpoint)
        elif queue is not None:
            queue.deployment = deployment
            queue.wake.set()
        else:
            queue = self._queues[region, endpoint] = _Queue(region, endpoint, deployment)
            left = [one for one in self._store.list(INVOCATION, region) if one["EndpointName"] == endpoint]
            left.sort(key=lambda one: float(one["AcceptedAt"]))
            queue.waiting.extend(one["Id"] for one in left)
            queue.pump = asyncio.create_task(self._pump(queue), name=f"queue of {endpoint}")

    def withdraw(self, region: str, endpoint: str) -> None:
        """The endpoint answers no more: what waits is forgotten."""
        queue = self._queues.pop((region, endpoint), None)
        if queue is not None:
            for task in (queue.pump, *queue.running):
                if task is not None:
                    task.cancel()
        with self._store.transaction():
            for one in self._store.list(INVOCATION, region):
                if one["EndpointName"] == endpoint:
                    self._store.delete(INVOCATION, region, one["Id"])

    def accept(self, region: str, request: Mapping[str, Any], body: bytes) -> Accepted:
        """Put a request at the end of its endpoint's queue; ValidationError when there is none."""
        name = request["EndpointName"]
        queue = self._queues.get((region, name))
        if queue is None:
            self._router.check(region, name)
            raise AwsError("ValidationError", f"Endpoint {name} has no AsyncInferenceConfig: use InvokeEndpoint.", 400)
        if len(queue.waiting) >= MAX_WAITING:
            said = f"{MAX_WAITING} requests wait for endpoint {name} already. Try your call again."
            raise AwsError("ServiceUnavailable", said, 503)
        record = endpoint_async.invocation(request, body, queue.config, region, self._providers.clock.time())
        self._store.put(INVOCATION, region, record["Id"], record)
        queue.waiting.append(record["Id"])
        queue.wake.set()
        return endpoint_async.accepted(record)

    async def _end(self, queue: _Queue) -> None:
        tasks = [task for task in (queue.pump, *queue.running) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _pump(self, queue: _Queue) -> None:
        """Hand on as many at a time as the instances in service may have."""
        while True:
            active = self._router.active(queue.region, queue.endpoint)
            room = active * endpoint_async.concurrency(queue.config) - len(queue.running)
            while queue.waiting and room > 0:
                task = asyncio.create_task(self._handle(queue, queue.waiting.popleft()))
                queue.running.add(task)
                task.add_done_callback(queue.running.discard)
                task.add_done_callback(lambda _: queue.wake.set())
                room -= 1
            queue.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS if queue.waiting else None):
                    await queue.wake.wait()

    async def _handle(self, queue: _Queue, number: str) -> None:
        """One request, to its result or its failure. What a fault of the machine interrupts begins again."""
        record = self._store.get(INVOCATION, queue.region, number)
        if record is None:
            return
        try:
            try:
                outcome = await self._invoke(queue, record)
                await self._write(queue, record["Output"], outcome.body, outcome.headers.get("content-type"))
                self._count(queue, outcome.variant, {"InvocationsProcesssed": 1.0, "InvocationFailures": 0.0}, record)
            except _NotDone as failure:
                variant = queue.deployment["Variants"][0]["VariantName"]
                kinds = {failure.metric: 1.0} if failure.metric is not None else {}
                self._count(queue, variant, {"InvocationFailures": 1.0, **kinds}, record)
                self._say(queue, f"Asynchronous inference {record['InferenceId']}: {failure}")
                if "Failure" in record:
                    await self._write(queue, record["Failure"], str(failure).encode(), "text/plain")
        except _NotDone as failure:
            self._say(queue, f"Asynchronous inference {record['InferenceId']}: {failure}")
        except Exception:
            logger.exception("asynchronous inference %s of %s: it begins again", number, queue.endpoint)
            await asyncio.sleep(_AGAIN_SECONDS)
            queue.waiting.append(number)
            return
        self._store.delete(INVOCATION, queue.region, number)

    async def _invoke(self, queue: _Queue, record: Record) -> Outcome:
        variant = queue.deployment["Variants"][0]["VariantName"]
        waited = self._providers.clock.time() - record["AcceptedAt"]
        if waited > record["TTL"]:
            said = f"The request has expired: it has waited for more than {record['TTL']} seconds."
            raise _NotDone(said, "ExpiredRequests")
        self._count(queue, variant, {"TimeInBacklog": waited * 1000.0}, record)
        body, content_type = await self._read(queue, record)
        headers = {_HEADERS[name]: value for name, value in record["Headers"].items()}
        # SDK v2 puts its serializer's type on the object alone.
        if content_type is not None:
            headers.setdefault("Content-Type", content_type)
        headers |= {INFERENCE_ID: record["InferenceId"], "X-Amzn-RequestId": record["Id"]}
        while True:
            try:
                outcome = await self._router.invoke(
                    queue.region, queue.endpoint, body, headers, None, limit=float(record["Limit"])
                )
                break
            except AwsError as error:
                if error.code != "ServiceUnavailable":
                    raise _NotDone(error.message) from error
                await asyncio.sleep(_LOOK_SECONDS)  # the instances' own queues are full
        if not 200 <= outcome.status < 300:
            said = outcome.body.decode("utf-8", "replace")
            raise _NotDone(model_error(outcome.status, said, queue.region, self._providers.account_id, queue.endpoint))
        return outcome

    async def _read(self, queue: _Queue, record: Record) -> tuple[bytes, str | None]:
        """The input and, of one in S3, the type with which it was stored: SDKs leave it to that."""
        body = endpoint_async.inline(record)
        if body is not None:
            return body, None
        bucket, key = record["Input"]
        objects = self._providers.objects
        refusal = self._providers.acting_as(queue.role_arn, queue.region).reads(bucket, [key])
        if refusal is not None:
            raise _unread(bucket, key, f"AccessDenied: {refusal.sentence}")
        try:
            if objects.object_size(bucket, key) > endpoint_async.MAX_INPUT:
                raise _unread(bucket, key, f"it has more than {endpoint_async.MAX_INPUT} bytes")
            return await asyncio.to_thread(objects.read_object, bucket, key), objects.content_type(bucket, key)
        except KeyError as error:
            raise _unread(bucket, key, "NoSuchKey: The specified key does not exist.") from error
        except AwsError as error:
            raise _unread(bucket, key, f"{error.code}: {error.message}") from error

    async def _write(self, queue: _Queue, place: list[str], content: bytes, content_type: str | None) -> None:
        bucket, key = place
        refusal = self._providers.acting_as(queue.role_arn, queue.region).writes(bucket, [key])
        if refusal is not None:
            raise _unwritten(place, f"AccessDenied: {refusal.sentence}")
        try:
            await asyncio.to_thread(self._providers.objects.put_bytes, bucket, key, content, content_type)
        except AwsError as error:
            raise _unwritten(place, f"{error.code}: {error.message}") from error

    def _say(self, queue: _Queue, line: str) -> None:
        """In the endpoint's log, in the stream that AWS calls so."""
        group = f"/aws/sagemaker/Endpoints/{queue.endpoint}"
        role = self._providers.acting_as(queue.role_arn, queue.region)
        variant = queue.deployment["Variants"][0]["VariantName"]
        log = RoleLog(role, self._providers.logs, group, group)
        log.append(f"{variant}/data-log", [(int(self._providers.clock.time() * 1000), line)])

    def _count(self, queue: _Queue, variant: str, values: dict[str, float], record: Record) -> None:
        now = self._providers.clock.now()
        if "InvocationsProcesssed" in values:
            values["TotalProcessingTime"] = (self._providers.clock.time() - record["AcceptedAt"]) * 1000.0
        dimensions = {"EndpointName": queue.endpoint, "VariantName": variant}
        for metric, value in values.items():
            unit = "Milliseconds" if metric in ("TimeInBacklog", "TotalProcessingTime") else "None"
            self._counter.put(queue.region, INVOCATIONS, metric, value, dimensions, now, unit)

    async def _measure(self) -> None:
        """The backlog of each queue, every minute of the cloud's clock."""
        while True:
            await self._providers.clock.sleep(_MINUTE)
            now = self._providers.clock.now()
            for (region, endpoint), queue in list(self._queues.items()):
                try:
                    self._measure_one(region, endpoint, queue, now)
                except Exception:
                    logger.exception("no backlog of endpoint %s at %s", endpoint, now)

    def _measure_one(self, region: str, endpoint: str, queue: _Queue, now: datetime) -> None:
        size = float(len(queue.waiting) + len(queue.running))
        active = self._router.active(region, endpoint)
        values = {"ApproximateBacklogSize": size, "HasBacklogWithoutCapacity": float(bool(size) and not active)}
        if active:
            values["ApproximateBacklogSizePerInstance"] = size / active
        oldest = self._store.get(INVOCATION, region, queue.waiting[0]) if queue.waiting else None
        if oldest is not None:
            values["ApproximateAgeOfOldestRequest"] = max(0.0, now.timestamp() - oldest["AcceptedAt"])
        for metric, value in values.items():
            unit = "Seconds" if metric == "ApproximateAgeOfOldestRequest" else "None"
            self._counter.put(region, INVOCATIONS, metric, value, {"EndpointName": endpoint}, now, unit)


def _unread(bucket: str, key: str, why: str) -> _NotDone:
    return _NotDone(f"The input s3://{bucket}/{key} could not be read ({why})", "RequestDownloadFailures")


def _unwritten(place: list[str], why: str) -> _NotDone:
    return _NotDone(f"{endpoint_async.address(place)} could not be written ({why})", "ResponseUploadFailures")
