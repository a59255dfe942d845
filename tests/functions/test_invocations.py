"""Invocations under AWS's own runtime client: what a handler is given, what its caller gets, what the log says."""

from __future__ import annotations

import json
import re

import pytest

from tests.functions.bench import Bench, invocation, lines

CONTEXT = """
    import os

    def lambda_handler(event, context):
        return {
            "event": event,
            "request_id": context.aws_request_id,
            "arn": context.invoked_function_arn,
            "memory": context.memory_limit_in_mb,
            "left": context.get_remaining_time_in_millis(),
            "custom": context.client_context.custom if context.client_context else None,
            "stream": context.log_stream_name,
            "environment": dict(os.environ),
            "here": os.getcwd(),
        }
"""


async def test_a_handler_is_given_its_event_and_context(bench: Bench) -> None:
    spec = bench.function(CONTEXT, environment={"COLOUR": "blue", "TZ": "Europe/Berlin", "AWS_REGION": "not-this"})
    asked = invocation({"url": "x"}, '{"custom": {\n"a": "ä"}}')
    outcome = await bench.engine.invoke(spec, asked, provisioned=False)
    answer = json.loads(outcome.payload)
    assert answer["event"] == {"url": "x"}
    assert answer["request_id"] == asked.request_id
    assert answer["arn"].endswith(":function:f:live")
    assert answer["memory"] == "128"
    assert 0 < answer["left"] <= 20_000
    assert answer["custom"] == {"a": "ä"}
    assert answer["stream"] == outcome.log_stream
    environment = answer["environment"]
    assert environment["COLOUR"] == "blue"
    assert environment["TZ"] == "Europe/Berlin"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["LAMBDA_TASK_ROOT"] == answer["here"]
    assert environment["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert environment["AWS_SECRET_ACCESS_KEY"] == f"secret-of-{spec.name}"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert environment["_X_AMZN_TRACE_ID"].startswith("Root=1-5bef4de7")
    assert "VIRTUAL_ENV" not in environment
    assert "PYTEST_CURRENT_TEST" not in environment


async def test_the_environment_is_used_again_while_it_is_warm(bench: Bench) -> None:
    spec = bench.function(
        "calls = []\ndef lambda_handler(event, context):\n    calls.append(1)\n    return len(calls)\n"
    )
    outcomes = [await bench.invoke(spec) for _ in range(3)]
    assert [json.loads(outcome.payload) for outcome in outcomes] == [1, 2, 3]
    assert outcomes[0].init_seconds is not None
    assert outcomes[1].init_seconds is None
    assert len({outcome.log_stream for outcome in outcomes}) == 1
    assert bench.sessions == 1


async def test_the_log_has_every_line_between_start_and_end_in_order(bench: Bench) -> None:
    spec = bench.function("""
        import logging, os, subprocess, sys

        print("while it is loaded")

        def lambda_handler(event, context):
            print("one")
            logging.warning("two\\nof two lines")
            print("three", file=sys.stderr)
            subprocess.run(["echo", "four"])
            os.write(1, b"five, without its newline")
            return "x"
    """)
    outcome = await bench.invoke(spec)
    found = lines(outcome)
    assert re.fullmatch(r"START RequestId: [0-9a-f-]{36} Version: \$LATEST", found[0])
    assert found[1] == "one"
    assert found[2].startswith("[WARNING]\t")
    assert found[2].endswith("\ttwo")
    assert found[3:7] == ["of two lines", "three", "four", "five, without its newline"]
    assert found[7].startswith("END RequestId: ")
    assert re.fullmatch(
        r"REPORT RequestId: [0-9a-f-]{36}\tDuration: [0-9.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB"
        r"\tMax Memory Used: \d+ MB\tInit Duration: [0-9.]+ ms",
        found[8],
    )
    await bench.engine.stop()
    events = bench.logged[outcome.log_stream]
    assert events[0].startswith("INIT_START Runtime Version: python:3.")
    assert events.index("while it is loaded") < events.index(found[0])
    assert any(event.endswith("\ttwo\nof two lines") for event in events)
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", outcome.log_stream)


async def test_the_tail_is_the_last_4_kb_and_a_flood_is_logged_whole(bench: Bench) -> None:
    spec = bench.function("""
        def lambda_handler(event, context):
            for number in range(20000):
                print(f"line {number} " + "x" * 80)
    """)
    outcome = await bench.invoke(spec)
    assert len(outcome.log_tail) == 4096
    assert lines(outcome)[-1].startswith("REPORT RequestId: ")
    await bench.engine.stop()
    numbers = [int(event.split()[1]) for event in bench.logged[outcome.log_stream] if event.startswith("line ")]
    assert numbers == list(range(20000))


async def test_an_exception_is_the_callers_to_see_and_the_environment_lives(bench: Bench) -> None:
    spec = bench.function("def lambda_handler(event, context):\n    raise KeyError('url') if event else None\n")
    outcome = await bench.invoke(spec, {"boom": 1})
    document = json.loads(outcome.payload)
    assert outcome.error == "Unhandled"
    assert document["errorType"] == "KeyError"
    assert document["errorMessage"] == "'url'"
    assert 'handler.py", line 2, in lambda_handler' in document["stackTrace"][0]
    assert any(line.startswith("[ERROR] KeyError: 'url'") for line in lines(outcome))
    again = await bench.invoke(spec, {"boom": 1})
    assert again.log_stream == outcome.log_stream


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import not_there\n", "Runtime.ImportModuleError"),
        ("lambda_handler_ = 1\n", "Runtime.HandlerNotFound"),
        ("def lambda_handler(:\n", "Runtime.UserCodeSyntaxError"),
        ("raise ValueError('at import')\n", "ValueError"),
    ],
)
async def test_code_that_cannot_be_loaded_says_so_at_every_invocation(bench: Bench, source: str, error: str) -> None:
    spec = bench.function(source)
    for _ in range(2):
        outcome = await bench.invoke(spec)
        assert outcome.error == "Unhandled"
        assert json.loads(outcome.payload)["errorType"] == error
        told = [line for line in lines(outcome) if line.startswith(f"[ERROR] {error}")]
        assert len(told) == 1, lines(outcome)
        assert lines(outcome)[-1].endswith(f"\tStatus: error\tError Type: {error}")


async def test_an_answer_over_6_mb_is_an_error(bench: Bench) -> None:
    spec = bench.function("def lambda_handler(event, context):\n    return 'x' * event\n", memory_size=512)
    fits = await bench.invoke(spec, 6 * 1024 * 1024)
    assert len(fits.payload) == 6 * 1024 * 1024 + 2
    outcome = await bench.invoke(spec, 6 * 1024 * 1024 + 100)
    assert json.loads(outcome.payload)["errorType"] == "Function.ResponseSizeTooLarge"
    assert len((await bench.invoke(spec, 10)).payload) == 12


async def test_payloads_of_megabytes_reach_the_handler(bench: Bench) -> None:
    spec = bench.function("def lambda_handler(event, context):\n    return len(event)\n", memory_size=512)
    assert await bench.answer(spec, "ä" * 3_000_000) == 3_000_000


async def test_the_log_without_a_sandbox_says_what_is_missing(open_bench: Bench) -> None:
    spec = open_bench.function(CONTEXT)
    outcome = await open_bench.invoke(spec)
    environment = json.loads(outcome.payload)["environment"]
    assert environment["LAMBDA_TASK_ROOT"] == str(spec.code)
    assert environment["TMPDIR"].startswith(str(open_bench.folder))
    await open_bench.engine.stop()
    assert any("not private" in event for event in open_bench.logged[outcome.log_stream])
