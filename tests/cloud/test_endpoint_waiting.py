"""Requests that no instance can take at the moment: who waits, who is turned away, and how both are counted."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker.endpoint_metrics import EndpointMetrics
from sagehound.localcloud.services.sagemaker.endpoint_router import MAX_WAITING, Router
from sagehound.localcloud.services.sagemaker.endpoint_variants import Variant
from sagehound.localcloud.state.clock import Clock
from tests.cloud.hosting import HOLD, Hosting, begun
from tests.cloud_process import CloudProcess
from tests.waiting import until, wait_for

ONCE = """
import os, time
def model_fn(model_dir):
    # Two instances come up; what is started later waits for the test.
    for number in range(2):
        try:
            return os.close(os.open({gate!r} + "." + str(number), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
    while not os.path.exists({gate!r}): time.sleep(0.01)
"""


class Sums:
    """Counts as CloudWatch does, in so far as sums go."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def put(
        self,
        region: str,
        namespace: str,
        name: str,
        value: float,
        dimensions: dict[str, str],
        timestamp: datetime,
        unit: str,
        /,
    ) -> None:
        self.of[name] += int(value)


async def test_who_is_turned_away_since_too_many_wait_is_counted() -> None:
    sums = Sums()
    router = Router(EndpointMetrics(Clock(), sums), "123456789012")
    router.serve("us-east-1", "e", [Variant("v", 1.0, [])])
    ((_, service),) = router.services()

    def invoke() -> Any:
        return asyncio.create_task(router.invoke("us-east-1", "e", b"", {}, None))

    waiting = [invoke() for _ in range(MAX_WAITING)]
    await until(lambda: len(service.waiting) == MAX_WAITING)
    with pytest.raises(AwsError) as refused:
        await invoke()
    assert (refused.value.code, refused.value.status) == ("ServiceUnavailable", 503)
    await until(lambda: sums.of["Invocations"] > 0)
    assert (sums.of["Invocations"], sums.of["Invocation5XXErrors"]) == (1, 1)
    router.withdraw("us-east-1", "e")
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(answer) for answer in answers} == {"ValidationError: Endpoint e of account 123456789012 not found."}


def test_a_full_queue_is_waited_for_while_another_instance_comes_back(own_cloud: CloudProcess, tmp_path: Path) -> None:
    """Of two instances without any queue one has been killed: what the other one refuses waits until it has room."""
    hosting = Hosting(own_cloud)
    gate = tmp_path / "gate"
    code = HOLD.replace("def model_fn(model_dir): return None", ONCE.format(gate=str(gate)))
    endpoint = hosting.endpoint("e", code, {"TS_JOB_QUEUE_SIZE": "0"}, InitialInstanceCount=2)
    answers: list[str] = []

    def call(body: str) -> threading.Thread:
        caller = threading.Thread(target=_keep, args=(hosting, endpoint, f"{tmp_path}/{body}", answers))
        caller.start()
        return caller

    callers = [call("first") for _ in range(2)]
    wait_for(lambda: begun(tmp_path) == 2, "each instance works on one")
    killed, works = hosting.processes(endpoint)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: answers == ["ModelError"], "what it worked on is lost")
    before = hosting.sent(endpoint)[works]
    callers += [call("second") for _ in range(3)]
    wait_for(lambda: hosting.sent(endpoint)[works] > before, "it has refused one")
    assert answers == ["ModelError"]
    (tmp_path / "first").touch()
    (tmp_path / "second").touch()
    for caller in callers:
        caller.join(60)
    assert Counter(answers) == {"ModelError": 1, "done": 4}
    gate.touch()
    hosting.delete(endpoint)


def _keep(hosting: Hosting, endpoint: str, body: str, answers: list[str]) -> None:
    try:
        answers.append(hosting.invoke(endpoint, body))
    except ClientError as error:
        answers.append(error.response["Error"]["Code"])
