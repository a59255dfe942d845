"""Environments that are kept: provisioned ones first, replaced when they crash, ended when nobody needs them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.functions.spec import InitFailed
from tests.functions.bench import Bench
from tests.waiting import until

HOLD = """
    import os, time

    def lambda_handler(event, context):
        if event == "crash":
            os._exit(1)
        time.sleep(event or 0)
        return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""
KEY = "import os\ndef lambda_handler(event, context):\n    return os.environ['AWS_ACCESS_KEY_ID']\n"


async def test_provisioned_environments_are_used_first_and_then_spill_over(bench: Bench) -> None:
    spec = bench.function(HOLD)
    await bench.engine.provision(spec, 3)
    assert bench.engine.provisioned(spec.key) == (3, 3)
    running = [asyncio.create_task(bench.invoke(spec, 1, provisioned=True)) for _ in range(4)]
    await asyncio.sleep(0)
    assert bench.engine.provisioned(spec.key) == (3, 0)
    outcomes = await asyncio.gather(*running)
    kinds = sorted(json.loads(outcome.payload) for outcome in outcomes)
    assert kinds == ["on-demand", *["provisioned-concurrency"] * 3]
    assert [outcome.provisioned for outcome in outcomes].count(True) == 3
    assert sum(outcome.init_seconds is not None for outcome in outcomes) == 1
    assert bench.engine.provisioned(spec.key) == (3, 3)


async def test_invocations_of_another_qualifier_leave_provisioned_environments_alone(bench: Bench) -> None:
    spec = bench.function(HOLD)
    await bench.engine.provision(spec, 1)
    assert await bench.answer(spec) == "on-demand"


async def test_a_crashed_provisioned_environment_is_replaced(bench: Bench) -> None:
    spec = bench.function(HOLD)
    await bench.engine.provision(spec, 2)
    outcome = await bench.invoke(spec, "crash", provisioned=True)
    assert outcome.provisioned
    await until(lambda: bench.engine.provisioned(spec.key) == (2, 2))


async def test_provisioned_concurrency_shrinks_and_grows(bench: Bench) -> None:
    spec = bench.function(HOLD)
    await bench.engine.provision(spec, 3)
    busy = asyncio.create_task(bench.invoke(spec, 0.5, provisioned=True))
    await asyncio.sleep(0)
    await bench.engine.provision(spec, 1)
    await busy
    assert bench.engine.provisioned(spec.key)[0] == 1
    await bench.engine.provision(spec, 2)
    assert bench.engine.provisioned(spec.key)[0] == 2
    await bench.engine.provision(spec, 0)
    await until(lambda: bench.engine.provisioned(spec.key) == (0, 0))


async def test_code_that_cannot_be_initialised_cannot_be_provisioned(bench: Bench) -> None:
    spec = bench.function("import not_there\n")
    with pytest.raises(InitFailed, match=r"Runtime\.ImportModuleError"):
        await bench.engine.provision(spec, 2)
    assert bench.engine.provisioned(spec.key) == (0, 0)


async def test_retired_environments_end_idle_ones_now_and_busy_ones_when_they_have_answered(bench: Bench) -> None:
    spec = bench.function(HOLD)
    await bench.engine.provision(spec, 1)
    first = await bench.invoke(spec)
    busy = asyncio.create_task(bench.invoke(spec, 0.5))
    await asyncio.sleep(0)
    bench.engine.retire(spec.key)
    assert bench.engine.provisioned(spec.key) == (0, 0)
    assert (await busy).error is None
    again = await bench.invoke(spec)
    assert again.log_stream != first.log_stream
    await until(lambda: len(environments(bench)) == 1)


async def test_an_environment_that_nobody_needs_ends_and_a_provisioned_one_stays(tmp_path: Path) -> None:
    async with Bench(tmp_path, idle_seconds=0.0, look_seconds=0.05) as bench:
        spec = bench.function(HOLD)
        await bench.engine.provision(spec, 1)
        await bench.invoke(spec)
        await until(lambda: len(environments(bench)) == 1)
        assert bench.engine.provisioned(spec.key) == (1, 1)
    assert environments(bench) == []


async def test_an_environment_is_not_used_beyond_its_credentials(tmp_path: Path) -> None:
    async with Bench(tmp_path, look_seconds=0.05) as bench:
        spec = bench.function(KEY)
        bench.expiration = time.time() + 30  # less than an invocation and its margin
        first = await bench.answer(spec)
        await until(lambda: not bench.engine.idle(spec.key))
        bench.expiration = time.time() + 3600
        second = await bench.answer(spec)
        assert second != first
        assert await bench.answer(spec) == second


async def test_provisioned_environments_are_renewed_before_their_credentials_end(tmp_path: Path) -> None:
    async with Bench(tmp_path, look_seconds=0.05) as bench:
        spec = bench.function(KEY)
        bench.expiration = time.time() + 30
        provision = asyncio.create_task(bench.engine.provision(spec, 1))
        await until(lambda: bench.sessions == 1)
        bench.expiration = time.time() + 3600
        await provision
        await until(lambda: bench.sessions == 2 and bench.engine.provisioned(spec.key) == (1, 1))
        outcome = await bench.invoke(spec, provisioned=True)
        assert outcome.provisioned
        assert json.loads(outcome.payload) == f"ASIA{2:016}", "the keys of the first session"
        assert bench.sessions == 2


async def test_many_functions_at_once_lose_nothing(bench: Bench) -> None:
    specs = [bench.function("def lambda_handler(event, context):\n    return event * 2\n") for _ in range(5)]
    asked = [(spec, number) for number in range(8) for spec in specs]
    answers = await asyncio.gather(*(bench.answer(spec, number) for spec, number in asked))
    assert answers == [number * 2 for _, number in asked]


async def test_between_invocations_nothing_of_a_function_runs(bench: Bench) -> None:
    spec = bench.function("""
        import itertools, subprocess, threading
        threading.Thread(target=lambda: sum(0 for _ in itertools.count()), daemon=True).start()
        children = [subprocess.Popen(["sleep", "600"], start_new_session=apart).pid for apart in (False, True)]
        def lambda_handler(event, context):
            return [open(f"/proc/{pid}/stat").read().split()[2] for pid in ("self", *children)]
    """)

    def states() -> list[str]:
        (main,) = environments(bench)
        return [process.status() for process in (main, *main.children(recursive=True))]

    for _ in range(3):
        # What sleeps is runnable for a moment after it was let go on.
        main, *children = await bench.answer(spec)
        assert main == "R"
        assert set(children) <= {"R", "S"}
        await until(lambda: states() == [psutil.STATUS_STOPPED] * 3)


def environments(bench: Bench) -> list[psutil.Process]:
    """The main processes of this bench's functions, found by the log streams in nobody else's variables."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "awslambdaric" in (process.info["cmdline"] or []):
            try:
                name = process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "")
            except psutil.Error:
                continue
            if (bench.folder / "code" / name).is_dir() and name:
                found.append(process)
    return found
