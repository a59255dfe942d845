"""The end of an event: its record to the destination of its success or failure, and its row gone."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any, Protocol

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_.destinations import Destinations, record_of, service_of
from sagehound.localcloud.services.lambda_.event_table import MAX_EVENT, Event, EventTable, too_large_an_event
from sagehound.localcloud.services.lambda_.invocation_needs import Target
from sagehound.localcloud.services.lambda_.invoker import Ran
from sagehound.localcloud.services.lambda_.metrics import FunctionMetrics
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

Record = dict[str, Any]

RECURSIVE = "RecursiveInvocation"


class Enqueue(Protocol):
    """The queue, which takes a record as the event of another function."""

    def __call__(self, region: str, target: Target, payload: bytes, request_id: str, *, hops: int) -> None: ...


class EventOutcomes:
    """Delivers and removes together, so that a death in between delivers again rather than never."""

    enqueue: Enqueue
    """Set by the queue, which this ends the events of."""

    def __init__(
        self,
        table: EventTable,
        clock: Clock,
        destinations: Destinations,
        metrics: FunctionMetrics,
    ) -> None:
        self._table = table
        self._clock = clock
        self._destinations = destinations
        self._metrics = metrics

    async def succeeded(self, event: Event, target: Target, config: Record, ran: Ran) -> None:
        """The handler answered."""
        await self._deliver(event, target, config, "OnSuccess", "Success", ran)

    async def failed(self, event: Event, target: Target, config: Record, condition: str, ran: Ran | None) -> None:
        """The event will not be tried again; without a destination it is dropped."""
        self._metrics.event(event.region, target, "AsyncEventsDropped")
        if condition == RECURSIVE:
            self._metrics.event(event.region, target, "RecursiveInvocationsDropped")
        await self._deliver(event, target, config, "OnFailure", condition, ran)

    async def _deliver(
        self, event: Event, target: Target, config: Record, member: str, condition: str, ran: Ran | None
    ) -> None:
        arn = config.get("DestinationConfig", {}).get(member, {}).get("Destination")
        if not arn:
            self._table.remove(event.number)
            return
        now = self._clock.now()
        record = record_of(event, condition, ran, now)
        try:
            # A version that never ran would have had this role.
            version = ran.version if ran else target.versions[0][0]
            reason = self._destinations.denied(event.region, event.name, version, arn)
            if reason is not None:
                raise AwsError("AccessDeniedException", reason, 403)
            if service_of(arn) == "s3":
                await asyncio.to_thread(self._destinations.store, arn, event, record, now)
                self._table.remove(event.number)
            else:
                receiver = self._destinations.target(event.region, arn)
                if len(record) > MAX_EVENT:
                    raise too_large_an_event(len(record))
                with self._table.store.transaction():
                    self._table.remove(event.number)
                    self.enqueue(event.region, receiver, record, str(uuid.uuid4()), hops=event.hops + 1)
        except AwsError as refusal:
            logger.warning("the record of an event of %s did not reach %s: %s", event.name, arn, refusal)
            self._metrics.event(event.region, target, "DestinationDeliveryFailures")
            self._table.remove(event.number)
