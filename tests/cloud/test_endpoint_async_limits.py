"""Queues of asynchronous endpoints within their bounds, and what a killed server leaves of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker import endpoint_async_queue
from sagehound.localcloud.services.sagemaker.endpoint_async import INVOCATION
from sagehound.localcloud.services.sagemaker.endpoint_async_queue import AsyncQueues
from sagehound.localcloud.services.sagemaker.endpoint_metrics import EndpointMetrics
from sagehound.localcloud.services.sagemaker.endpoint_router import Router
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

DEPLOYMENT = {
    "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/out"}},
    "Variants": [{"VariantName": "v", "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r"}],
}
REGION = "us-east-1"


class Uncounted:
    """Nothing is invoked here, so there is nothing to count."""

    def put(self, *counted: Any) -> None:
        raise AssertionError(counted)


def queues_of(store: Store) -> AsyncQueues:
    """Those of a server whose endpoints have no instance in service yet."""
    clock, counter = Clock(), Uncounted()
    providers: Any = SimpleNamespace(store=store, clock=clock, account_id="123456789012")
    return AsyncQueues(providers, Router(EndpointMetrics(clock, counter), "123456789012"), counter)


async def test_a_queue_is_full_at_some_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_async_queue, "MAX_WAITING", 2)
    store = Store(tmp_path / "store.sqlite")
    queues = queues_of(store)
    queues.serve(REGION, "e", DEPLOYMENT)
    for _ in range(2):
        queues.accept(REGION, {"EndpointName": "e"}, b"x")
    with pytest.raises(AwsError, match="2 requests wait for endpoint e already") as refused:
        queues.accept(REGION, {"EndpointName": "e"}, b"x")
    assert (refused.value.code, refused.value.status) == ("ServiceUnavailable", 503)
    assert len(store.list(INVOCATION, REGION)) == 2
    await queues.stop()


async def test_an_endpoint_that_is_asynchronous_no_more_forgets_what_waited_also_after_a_kill(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    killed = queues_of(store)
    for endpoint in ("e", "other"):
        killed.serve(REGION, endpoint, DEPLOYMENT)
        killed.accept(REGION, {"EndpointName": endpoint}, b"x")
    await killed.stop()
    # The update of the endpoint was stored, and the server ended before its queue knew.
    queues = queues_of(store)
    queues.serve(REGION, "e", {"Variants": DEPLOYMENT["Variants"]})
    assert [one["EndpointName"] for one in store.list(INVOCATION, REGION)] == ["other"]
    await queues.stop()
