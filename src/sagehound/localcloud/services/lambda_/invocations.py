"""All that calls functions, put together: invocations, provisioned pools, events and function URLs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sagehound.localcloud.call import CredentialSource
from sagehound.localcloud.services.lambda_.concurrency import Concurrency
from sagehound.localcloud.services.lambda_.destinations import Destinations
from sagehound.localcloud.services.lambda_.event_invoke import EventInvoke
from sagehound.localcloud.services.lambda_.event_outcomes import EventOutcomes
from sagehound.localcloud.services.lambda_.event_queue import EventQueue
from sagehound.localcloud.services.lambda_.event_table import EventTable
from sagehound.localcloud.services.lambda_.invocation_needs import (
    Authoriser,
    Engine,
    Functions,
    LogWriter,
    MetricCounter,
    ObjectWriter,
)
from sagehound.localcloud.services.lambda_.invoke import Invoke
from sagehound.localcloud.services.lambda_.invoker import Invoker
from sagehound.localcloud.services.lambda_.metrics import FunctionMetrics
from sagehound.localcloud.services.lambda_.provisioned import Provisioned
from sagehound.localcloud.services.lambda_.provisioned_pools import ProvisionedPools
from sagehound.localcloud.services.lambda_.provisioned_scaling import ProvisionedScaling
from sagehound.localcloud.services.lambda_.role_credentials import SessionIssuer
from sagehound.localcloud.services.lambda_.url_front import UrlFront
from sagehound.localcloud.services.lambda_.urls import Urls
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The other services, as far as functions that run have to do with them."""

    counter: MetricCounter
    logs: LogWriter
    objects: ObjectWriter
    sessions: SessionIssuer
    authoriser: Authoriser
    credentials: CredentialSource


class Invocations:
    """The data plane of Lambda. `start` takes up the events and fills the pools of the run before."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account_id: str,
        functions: Functions,
        engine: Engine,
        concurrency: Concurrency,
        around: Surroundings,
        endpoint_url: Callable[[], str],
    ) -> None:
        metrics = FunctionMetrics(around.counter, clock)
        invoker = Invoker(functions, engine, concurrency, metrics)
        table = EventTable(store)
        destinations = Destinations(functions, around.authoriser, around.objects)
        outcomes = EventOutcomes(table, clock, destinations, metrics)
        event_invoke = EventInvoke(store, clock, functions, destinations)
        self._queue = EventQueue(table, clock, functions, invoker, metrics, event_invoke.config, outcomes)
        self._pools = ProvisionedPools(store, clock, functions, engine, concurrency, metrics)
        provisioned = Provisioned(store, clock, functions, concurrency, self._pools)
        self.scaling = ProvisionedScaling(provisioned, self._pools)
        urls = Urls(store, clock, functions, endpoint_url)
        self.url_front = UrlFront(urls, invoker, around.authoriser, around.credentials, clock, account_id)
        self.resources = (Invoke(invoker, self._queue), provisioned, event_invoke, urls)
        """What has operations."""

    async def start(self) -> None:
        """Go on where the last run ended, however it ended."""
        await self._pools.start()
        await self._queue.start()

    async def stop(self) -> None:
        """Begin nothing more."""
        await self._queue.stop()
        await self._pools.stop()
