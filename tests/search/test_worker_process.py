"""The worker's life: killed it is started again, closed it is gone, and a request that fails harms no other"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from sagehound.localcloud.search import worker_process
from sagehound.localcloud.search.worker_process import SearchFailed, WorkerProcess
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPACE = {"x": {"kind": "float"}, "y": {"kind": "float"}}


def request(trials: int = 12, seed: int = 1) -> dict[str, Any]:
    points = [[(0.37 * index) % 1, (0.61 * index) % 1] for index in range(trials)]
    observed = [{"state": "COMPLETE", "point": at, "value": at[0] + at[1], "steps": []} for at in points]
    return {"sampler": "gp", "seed": seed, "space": SPACE, "trials": observed, "taken": []}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[WorkerProcess]:
    found = WorkerProcess()
    yield found
    await found.close()


async def killed(worker: WorkerProcess) -> None:
    """Kill the worker and wait until it has ended."""
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: worker.pid != pid)


async def test_a_worker_that_is_killed_is_started_again_and_answers_the_same(worker: WorkerProcess) -> None:
    before = await worker.ask(request())
    pid = worker.pid
    await killed(worker)
    after = await worker.ask(request())
    assert after["point"] == before["point"]
    assert worker.pid != pid


async def test_a_worker_killed_while_it_is_asked_is_asked_again(worker: WorkerProcess) -> None:
    calm = await worker.ask(request())
    asked = asyncio.create_task(worker.ask(request(trials=120)))
    await asyncio.sleep(0.05)  # The request is on its way, and 120 trials keep the worker busy for longer than this.
    assert not asked.done()
    await killed(worker)
    assert len((await asked)["point"]) == 2
    assert (await worker.ask(request()))["point"] == calm["point"]


async def test_a_worker_that_dies_again_and_again_is_an_exception_with_its_last_words(worker: WorkerProcess) -> None:
    await worker.ask(request())
    asked = asyncio.create_task(worker.ask(request(trials=120)))
    await asyncio.sleep(0.05)
    await killed(worker)
    await until(lambda: worker.pid is not None)
    await killed(worker)
    with pytest.raises(SearchFailed, match=r"died twice: exit code -9"):
        await asked
    assert len((await worker.ask(request()))["point"]) == 2, "the next request starts a new one"


@pytest.mark.parametrize("answer", ["not JSON", "{}", ""])
async def test_whoever_is_no_worker_is_an_exception(
    answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A script in the worker's place that says something else, or nothing, and complains."""
    script = tmp_path / "other.py"
    script.write_text(f"import sys\nprint('no such model', file=sys.stderr)\nprint({answer!r}, flush=True)\ninput()\n")
    monkeypatch.setattr(worker_process, "SCRIPT", script)
    other = WorkerProcess()
    with pytest.raises(SearchFailed, match=r"died twice: exit code .*\nno such model"):
        await other.ask(request())
    await other.close()


async def test_a_request_that_it_cannot_answer_is_an_exception_and_the_worker_goes_on(worker: WorkerProcess) -> None:
    with pytest.raises(SearchFailed, match="KeyError: 'BROKEN'"):
        await worker.ask({**request(), "trials": [{"state": "BROKEN", "point": [0, 0], "value": 1, "steps": []}]})
    pid = worker.pid
    assert len((await worker.ask(request()))["point"]) == 2
    assert worker.pid == pid


async def test_a_request_that_is_cancelled_leaves_the_worker_usable(worker: WorkerProcess) -> None:
    expected = await worker.ask(request())
    pid = worker.pid
    for _ in range(3):
        asked = asyncio.create_task(worker.ask(request(seed=9)))
        await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert (await worker.ask(request()))["point"] == expected["point"]
    assert worker.pid == pid


async def test_requests_at_the_same_time_get_their_own_answers(worker: WorkerProcess) -> None:
    one, other = await worker.ask(request(seed=1)), await worker.ask(request(seed=2))
    together = await asyncio.gather(*(worker.ask(request(seed=seed)) for seed in (2, 1)))
    assert [answer["point"] for answer in together] == [other["point"], one["point"]]


@pytest.mark.parametrize("busy", [False, True])
async def test_close_leaves_no_process(busy: bool) -> None:
    before = set(psutil.Process().children())
    one = WorkerProcess()
    one.start_early()
    if busy:
        asked = asyncio.create_task(one.ask(request()))
        await until(lambda: one.pid is not None)
        await asyncio.sleep(0.05)
        assert set(psutil.Process().children()) > before
    await one.close()
    assert set(psutil.Process().children()) <= before
    if busy:
        with pytest.raises(SearchFailed, match="closed"):
            await asked
    with pytest.raises(SearchFailed, match="closed"):
        await one.ask(request())
    await one.close()
