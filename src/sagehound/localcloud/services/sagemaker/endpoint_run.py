"""What is done behind one endpoint's status: fleets of instances come up, take over, and leave."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from sagehound.localcloud.container import serving
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker.endpoint_captures import Captures
from sagehound.localcloud.services.sagemaker.endpoint_fleet import Fleet
from sagehound.localcloud.services.sagemaker.endpoint_health import NotHealthy
from sagehound.localcloud.services.sagemaker.endpoint_instance import Instance
from sagehound.localcloud.services.sagemaker.endpoint_router import Router
from sagehound.localcloud.services.sagemaker.endpoint_serverless import Pools, without_instances
from sagehound.localcloud.services.sagemaker.endpoint_status import ENDPOINT, ENDPOINT_STATUS, Record, is_serverless
from sagehound.localcloud.services.sagemaker.endpoint_variants import in_service
from sagehound.localcloud.services.sagemaker.model_data import ModelData, location
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags

logger = logging.getLogger(__name__)

CapacityChanged = Callable[[Record, str], None]
"""Told of an endpoint's record when the instances in service, or the work on it, have changed; and of what failed."""
DOWNLOAD_LIMIT = 3600.0
"""Seconds to fetch and unpack a model, unless ModelDataDownloadTimeoutInSeconds says otherwise."""
_MAX_REASON = 1024
_AGAIN = (0.1, 1.0, 5.0, 30.0)
"""Seconds before an operation that a fault has interrupted goes on."""


class EndpointRun:
    """One endpoint's instances. Each operation on it is one task; the record says which, so a restart resumes it.

    `Deployment` in the record is what serves, `PendingDeployment` what shall serve once it is healthy.
    """

    def __init__(
        self,
        region: str,
        name: str,
        providers: Providers,
        model_data: ModelData,
        router: Router,
        captures: Captures,
        tags: Tags,
        capacity_changed: CapacityChanged,
    ) -> None:
        self.region = region
        self.name = name
        self._providers = providers
        self._store = providers.store
        self._model_data = model_data
        self._router = router
        self._captures = captures
        self._tags = tags
        self._capacity_changed = capacity_changed
        self._fleet = Fleet(region, name, providers, model_data, self._instance_changed)
        self._pools = Pools(self._fleet.add, lambda one: self._fleet.leave(lambda other: other is one), providers.clock)
        self._task: asyncio.Task[None] | None = None

    def record(self) -> Record:
        """The endpoint's record."""
        found = self._store.get(ENDPOINT, self.region, self.name)
        if found is None:
            raise LookupError(f"endpoint {self.name} is gone")
        return found

    def in_service(self, generation: str, variant: str) -> int:
        """How many instances of a variant of a deployment are in service, also when they do not answer for a moment."""
        return sum(instance.in_service for instance in self._fleet.of(generation, variant))

    def begin(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run one operation in the background."""
        self._task = asyncio.create_task(self._guarded(work), name=f"endpoint {self.name}")

    async def create(self) -> None:
        """Creating -> InService, or Failed with why."""
        try:
            await self._come_up("Deployment")
        except NotHealthy as error:
            await self._fail(str(error))
            return
        record = self.record()
        self._put({**record, "Deployment": without_instances(record["Deployment"])})
        self._serve()
        self._advance("InService")

    async def update(self) -> None:
        """Blue-green: the new fleet becomes healthy, takes all traffic, then the old one drains and leaves.

        When the new fleet fails it leaves, and the endpoint goes on as before, with why.
        """
        record = self.record()
        if "PendingDeployment" in record:
            try:
                await self._come_up("PendingDeployment")
            except NotHealthy as error:
                self._advance("RollingBack", FailureReason=str(error)[:_MAX_REASON])
                await self._roll_back()
                return
            record = self.record()
            pending = without_instances(record.pop("PendingDeployment"))
            config = pending["EndpointConfigName"]
            self._put({**record, "Deployment": pending, "EndpointConfigName": config, "Baking": True})
        self._serve()
        generation = self.record()["Deployment"]["Generation"]
        if self.record().get("Baking"):
            # The old fleet stays for TerminationWaitInSeconds, as the new one's safety net.
            await self._providers.clock.sleep(self._termination_wait())
        await self._fleet.leave(lambda instance: instance.record["Generation"] != generation)
        self._advance("InService")

    async def scale(self) -> None:
        """What is added serves once it is healthy; then weights, and what is too many drains. Or as before and why.

        PreviousDeployment stays in the record to the end: it tells a restarted server that this goes on.
        """
        try:
            await self._come_up("Deployment", has_traffic=True)
        except NotHealthy as error:
            record = self.record()
            reason = str(error)[:_MAX_REASON]
            self._put({**record, "Deployment": record["PreviousDeployment"], "FailureReason": reason})
        record = self.record()
        deployment = record["Deployment"]
        for variant in deployment["Variants"]:
            variant["Weight"] = variant.pop("DesiredWeight", variant["Weight"])
        self._put(record)
        keep = self._fleet.wanted(deployment)
        self._serve(keep)
        await self._fleet.leave(lambda instance: instance not in keep)
        self._advance("InService", **{member: record[member] for member in ("FailureReason",) if member in record})

    async def delete(self) -> None:
        """Stop answering, drain, end every process, forget the endpoint."""
        self._router.queues.withdraw(self.region, self.name)
        self._router.withdraw(self.region, self.name)
        self._pools.close()
        await self._fleet.leave(lambda instance: True)
        await self._captures.end(self.region, self.name)
        record = self.record()
        with self._store.transaction():
            self._store.delete(ENDPOINT, self.region, self.name)
            self._tags.delete(record["EndpointArn"])
        self._capacity_changed(record, "")

    def answer_again(self) -> None:
        """After a restart of the server, before it listens: adopt what lives, start again what died, route to it."""
        record = self.record()
        deployment = record["Deployment"]
        for instance in self._fleet.complete(deployment):
            if is_serverless(instance.variant) and not instance.alive:
                continue  # a request starts another one
            # Those that have never been healthy belong to the operation that `recover` resumes.
            if record["EndpointStatus"] == "InService" or instance.record.get("Healthy"):
                instance.keep_up()
        self._serve()

    async def recover(self) -> None:
        """After a restart of the server, or a fault: go on with the operation that was begun."""
        record = self._store.get(ENDPOINT, self.region, self.name) or {}
        status = record.get("EndpointStatus")
        if status == "Creating":
            await self.create()
        elif status == "Updating":
            await (self.scale() if "PreviousDeployment" in record else self.update())
        elif status == "RollingBack":
            await self._roll_back()
        elif status == "Deleting":
            await self.delete()
        elif status == "InService":
            await self._fleet.leave(lambda instance: is_serverless(instance.variant) and not instance.begun)
        elif status == "Failed":
            await self._fleet.leave(lambda instance: True)

    async def stop(self) -> None:
        """The server is stopped on purpose: end the model servers, which its next start brings back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._pools.close()
        await asyncio.gather(*(instance.shut_down() for instance in self._fleet))

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Work until it is done: what a fault of the machine interrupts goes on later, as after a restart.

        Only what is being created fails of it.
        """
        for pause in itertools.chain(_AGAIN, itertools.repeat(_AGAIN[-1])):
            try:
                await work()
                return
            except Exception as error:
                logger.exception("endpoint %s: it goes on in %g s", self.name, pause)
                work = functools.partial(self._go_on, f"Internal fault: {type(error).__name__}: {error}")
            await asyncio.sleep(pause)
            if self._task is not asyncio.current_task():
                return  # another operation has begun since

    async def _go_on(self, fault: str) -> None:
        record = self._store.get(ENDPOINT, self.region, self.name)
        if record is not None and record["EndpointStatus"] == "Creating":
            await self._fail(fault)
        else:
            await self.recover()

    async def _fail(self, reason: str) -> None:
        await self._fleet.leave(lambda instance: True)
        self._advance("Failed", FailureReason=reason[:_MAX_REASON])

    async def _come_up(self, member: str, *, has_traffic: bool = False) -> None:
        """Every instance that `member` (a deployment of the record) asks for is healthy; NotHealthy otherwise.

        When the deployment `has_traffic`, each instance gets requests as soon as it is healthy.
        """
        record = self.record()
        deployment = record[member]
        try:
            for variant in deployment["Variants"]:
                if "ModelDataDigest" not in variant:
                    self._check_readable(variant)
                    async with asyncio.timeout(variant.get("DownloadLimit", DOWNLOAD_LIMIT)):
                        variant["ModelDataDigest"] = await self._model_data.fetch(variant["ModelDataUrl"])
        except TimeoutError as error:
            limit = variant.get("DownloadLimit", DOWNLOAD_LIMIT)
            url = variant["ModelDataUrl"]
            raise NotHealthy(f"The model data at {url} was not downloaded and extracted in {limit:g} s.") from error
        except serving.ModelDataError as error:
            raise NotHealthy(str(error)) from error
        except (AwsError, OSError) as error:
            raise NotHealthy(f"The model data at {variant['ModelDataUrl']} could not be read: {error}") from error
        self._put({**self.record(), member: deployment})
        starting = [instance for instance in self._fleet.complete(deployment) if not instance.begun]
        if has_traffic:
            self._serve()
        results = await asyncio.gather(*(instance.come_up() for instance in starting), return_exceptions=True)
        for failed in results:
            if isinstance(failed, BaseException):
                await self._fleet.leave(lambda instance: instance in starting)
                raise failed

    def _check_readable(self, variant: Record) -> None:
        """NotHealthy in AWS's words when the execution role may not read the model data."""
        url = variant["ModelDataUrl"]
        bucket, key = location(url)
        refusal = self._providers.acting_as(variant["ExecutionRoleArn"], self.region).reads(bucket, [key])
        if refusal is not None:
            raise NotHealthy(
                f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that '
                "there is an object located at the URL and that the role passed to CreateModel has permissions to "
                f"download the object. ({refusal.sentence})"
            )

    async def _roll_back(self) -> None:
        record = self.record()
        record.pop("PendingDeployment", None)
        self._put(record)
        generation = record["Deployment"]["Generation"]
        await self._fleet.leave(lambda instance: instance.record["Generation"] != generation)
        self._advance("InService", FailureReason=record.get("FailureReason", "The update was rolled back."))

    def _serve(self, instances: Iterable[Instance] | None = None) -> None:
        """Route to the instances of the record's deployment, or to these of them."""
        deployment = self.record()["Deployment"]
        serving = list(self._fleet.generation(deployment["Generation"]) if instances is None else instances)
        captures = self._captures.of(self.region, self.name, deployment)
        pools = self._pools.of(deployment, serving)
        self._router.serve(self.region, self.name, in_service(deployment, serving, captures, pools))
        self._router.queues.serve(self.region, self.name, deployment)

    def _instance_changed(self) -> None:
        self._router.changed(self.region, self.name)
        if (record := self._store.get(ENDPOINT, self.region, self.name)) is not None:
            self._capacity_changed(record, "")

    def _termination_wait(self) -> float:
        policy = self.record().get("LastDeploymentConfig", {}).get("BlueGreenUpdatePolicy", {})
        return float(policy.get("TerminationWaitInSeconds", 0))

    def _put(self, record: Record) -> None:
        self._store.put(ENDPOINT, self.region, self.name, record)

    def _advance(self, status: str, **members: Any) -> None:
        record = self.record()
        record.pop("Baking", None)
        if status == "InService":
            record.pop("FailureReason", None)
            record.pop("PreviousDeployment", None)
        now = self._providers.clock.now()
        record = ENDPOINT_STATUS.advance(record, status, LastModifiedTime=now, **members)
        self._put(record)
        self._capacity_changed(record, members.get("FailureReason", ""))
