"""Invocations that get no answer: the deadline, a crash, too much memory, an initialisation that does not end."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.functions.bench import Bench, lines
from tests.waiting import until


async def test_the_deadline_ends_an_invocation_and_its_environment(bench: Bench) -> None:
    spec = bench.function(
        """
        import time
        print("loaded")
        def lambda_handler(event, context):
            print("before", end="", flush=True)
            time.sleep(event)
            return "in time"
        """,
        timeout=1,
    )
    outcome = await bench.invoke(spec, 600)
    document = json.loads(outcome.payload)
    request_id = lines(outcome)[0].split()[2]
    assert outcome.error == "Unhandled"
    assert document == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }
    found = lines(outcome)
    assert found[1] == "before"
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT[0-9:.]+Z {request_id} Task timed out after 1\.00 seconds", found[2])
    assert found[3] == f"END RequestId: {request_id}"
    assert found[4].endswith("\tStatus: timeout")
    again = await bench.invoke(spec, 0)
    assert json.loads(again.payload) == "in time"
    assert again.log_stream != outcome.log_stream


@pytest.mark.parametrize(
    ("crash", "text"),
    [
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
async def test_a_crash_is_told_in_awss_words(bench: Bench, crash: str, text: str) -> None:
    spec = bench.function(f"import os\ndef lambda_handler(event, context):\n    print('last words')\n    {crash}\n")
    outcome = await bench.invoke(spec)
    request_id = lines(outcome)[0].split()[2]
    message = f"RequestId: {request_id} Error: {text}"
    assert json.loads(outcome.payload) == {"errorType": "Runtime.ExitError", "errorMessage": message}
    assert lines(outcome)[1:4] == ["last words", message, "Runtime.ExitError"]
    assert lines(outcome)[-1].endswith("\tStatus: error\tError Type: Runtime.ExitError")


async def test_more_memory_than_allowed_is_a_kill(bench: Bench) -> None:
    spec = bench.function("""
        import time
        def lambda_handler(event, context):
            held = b"x" * (event << 20)
            time.sleep(600 if event > 100 else 0)
    """)
    small = await bench.invoke(spec, 50)
    assert small.error is None
    assert 50 < small.memory_used_mb < 100
    outcome = await bench.invoke(spec, 300)
    assert "signal: killed" in json.loads(outcome.payload)["errorMessage"]
    assert outcome.memory_used_mb == 128


async def test_a_short_peak_of_memory_counts_too(bench: Bench) -> None:
    spec = bench.function("def lambda_handler(event, context):\n    return len(b'x' * (event << 20))\n")
    outcome = await bench.invoke(spec, 200)
    assert "signal: killed" in json.loads(outcome.payload)["errorMessage"]


async def test_the_memory_of_child_processes_counts(bench: Bench) -> None:
    spec = bench.function("""
        import subprocess, sys
        def lambda_handler(event, context):
            subprocess.run([sys.executable, "-c", "x = b'x' * (300 << 20); import time; time.sleep(600)"])
    """)
    outcome = await bench.invoke(spec)
    assert "signal: killed" in json.loads(outcome.payload)["errorMessage"]


async def test_an_initialisation_that_crashes_begins_again_within_the_invocation(open_bench: Bench) -> None:
    path = open_bench.folder / "was-here"
    spec = open_bench.function(f"""
        import os
        try:
            os.close(os.open("{path}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os._exit(7)
        def lambda_handler(event, context):
            return "second time"
    """)
    outcome = await open_bench.invoke(spec)
    assert json.loads(outcome.payload) == "second time"
    assert outcome.init_seconds is None
    await open_bench.engine.stop()
    reports = [event for event in open_bench.logged[outcome.log_stream] if event.startswith("INIT_REPORT")]
    assert len(reports) == 1
    assert reports[0].endswith("\tPhase: init\tStatus: error\tError Type: Runtime.ExitError")


async def test_an_initialisation_that_does_not_end_has_its_seconds_and_then_the_functions(tmp_path: Path) -> None:
    async with Bench(tmp_path, init_seconds=0.5) as bench:
        spec = bench.function("import time\ntime.sleep(600)\ndef lambda_handler(event, context): pass\n", timeout=1)
        outcome = await bench.invoke(spec)
        assert json.loads(outcome.payload)["errorType"] == "Sandbox.Timedout"
    phases = [event.split("\t")[1:] for event in bench.logged[outcome.log_stream] if event.startswith("INIT_REPORT")]
    assert phases == [["Phase: init", "Status: timeout"], ["Phase: invoke", "Status: timeout"]]


async def test_a_caller_that_goes_away_leaves_the_environment_usable(bench: Bench) -> None:
    spec = bench.function("""
        import time
        calls = []
        def lambda_handler(event, context):
            calls.append(event)
            time.sleep(event)
            return calls
    """)
    assert await bench.answer(spec, 0) == [0]
    gone = asyncio.create_task(bench.invoke(spec, 0.2))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await until(lambda: bench.engine.idle(spec.key) > 0)
    assert await bench.answer(spec, 0) == [0, 0.2, 0]


async def test_code_that_ends_as_soon_as_it_is_loaded_is_no_endless_start(bench: Bench) -> None:
    spec = bench.function("""
        import os, threading
        threading.Thread(target=lambda: (threading.Event().wait(0.2), os._exit(5))).start()
        def lambda_handler(event, context):
            threading.Event().wait(600)
    """)
    outcome = await bench.invoke(spec)
    assert json.loads(outcome.payload)["errorMessage"].endswith("Runtime exited with error: exit status 5")
    await bench.engine.provision(spec, 1)
    outcome = await bench.invoke(spec, provisioned=True)
    assert outcome.error == "Unhandled"
