"""The sender against real servers: on schedule whatever they do, in bounded memory, every error by its kind."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from sagehound.pipeline.clients import connect_endpoint
from sagehound.pipeline.load.plan import EndpointTarget, FunctionTarget, LoadPlan, Target
from sagehound.pipeline.load.replies import started_cold
from sagehound.pipeline.load.sender import Sender
from sagehound.pipeline.load.signing import Payload, SignedRequests
from sagehound.pipeline.load.tally import Tally
from tests.pipeline.function_shop import Endpoint, Reply, aws_error, endpoint, json_reply
from tests.waiting import until

ENDPOINT = EndpointTarget("dogs")
FUNCTION = FunctionTarget("dogs", "live")
REPORT = (
    "START\nREPORT RequestId: 1\tDuration: 12.31 ms\tBilled Duration: {billed} ms\tMemory Size: 512 MB\t"
    "Max Memory Used: 90 MB\tInit Duration: 300.50 ms\t\n"
)


Stop = Callable[[Tally, float], bool]
"""Whether Ctrl-C is pressed, by what was counted and by the second of the load."""


def sent(server: Endpoint, plan: LoadPlan, target: Target = ENDPOINT, stop_when: Stop | None = None) -> Tally:
    """What a load on this server comes to."""
    clients = connect_endpoint(server.url, "AKIAEXAMPLEEXAMPLE00", "secret", "us-east-1")
    requests = SignedRequests(clients, target, [Payload("a", b"first", "text/plain"), Payload("b", b"2", "text/csv")])
    tally = Tally()

    async def run() -> None:
        stop = asyncio.Event()
        sender = Sender(requests, plan, tally, function=isinstance(target, FunctionTarget))
        sending = asyncio.create_task(sender.run(stop))
        if stop_when is not None:
            await until(lambda: sending.done() or (tally.sent > 0 and stop_when(tally, sender.second)))
            stop.set()
        assert await sending == (stop_when is None)

    asyncio.run(run())
    return tally


def stalls(begin: float, seconds: float) -> Callable[[dict[str, str], bytes], Reply]:
    """A server that answers nothing from ``begin`` seconds after its first request on, for so long."""
    first: list[float] = []
    lock = threading.Lock()

    def reply(headers: dict[str, str], body: bytes) -> Reply:
        with lock:
            first[:] = first or [time.monotonic()]
        now = time.monotonic() - first[0]
        if begin <= now < begin + seconds:
            time.sleep(begin + seconds - now)
        return json_reply([1])

    return reply


def test_latency_counts_from_the_schedule_so_a_stall_is_not_forgiven() -> None:
    with endpoint(stalls(1.0, 1.0)) as server:
        tally = sent(server, LoadPlan(rate=50, duration=4))
    # A quarter of all requests was due in the stalled second: it is seen in a quarter of the latencies.
    assert tally.answered == 200
    assert tally.latency.percentile(90) == pytest.approx(600, rel=0.25)
    assert tally.latency.percentile(99) > 900  # type: ignore[operator]
    stalled = tally.seconds[1]
    assert stalled.sent == pytest.approx(50, abs=2)  # they went out although nobody answered
    assert stalled.as_dict(1)["p50"] > 350


def test_a_closed_loop_sees_little_of_the_stall_until_it_is_corrected() -> None:
    with endpoint(stalls(1.0, 1.0)) as server:
        tally = sent(server, LoadPlan(concurrency=2, duration=4))
    typical = tally.latency.percentile(50)
    assert typical is not None
    assert tally.latency.most > 900
    assert tally.latency.percentile(90) < 500  # type: ignore[operator]
    assert tally.latency.corrected(typical).percentile(90) > 300  # type: ignore[operator]


def test_more_requests_than_may_be_under_way_wait_here_and_count_from_their_moment() -> None:
    with endpoint(stalls(0.0, 1.0)) as server:
        tally = sent(server, LoadPlan(rate=50, duration=2, max_in_flight=5))
    assert tally.answered == 100
    assert tally.held_back > 30
    assert tally.latency.percentile(50) > 40  # type: ignore[operator]
    assert tally.latency.most > 950
    assert tally.lateness.count + tally.held_back == 100


def test_what_nobody_answers_is_a_timeout_and_what_was_never_sent_is_said() -> None:
    with endpoint(stalls(0.0, 8.0)) as server:
        tally = sent(server, LoadPlan(rate=20, duration=1, timeout=0.5, max_in_flight=2))
    assert tally.errors["timeout"] >= 4
    assert tally.answered == 0
    assert tally.sent + tally.not_sent == 20
    assert tally.not_sent > 0
    assert tally.latency.percentile(50) >= 495  # type: ignore[operator]


def test_ctrl_c_cuts_off_what_is_under_way_and_keeps_the_rest() -> None:
    with endpoint(stalls(1.0, 20.0)) as server:
        tally = sent(server, LoadPlan(rate=20, duration=30), stop_when=lambda tally, second: tally.in_flight >= 20)
    assert tally.answered >= 15
    assert tally.unanswered >= 20
    assert tally.sent == tally.answered + tally.unanswered
    assert tally.in_flight == 0
    # Half of all had waited up to a second when they were cut off, and no percentile forgets them.
    assert tally.latency.count == tally.sent
    assert tally.latency.percentile(90) > 500  # type: ignore[operator]
    assert tally.seconds[1].as_dict(1)["p50"] > 300


def test_ctrl_c_counts_what_was_due_and_waited_here() -> None:
    plan = LoadPlan(rate=20, duration=30, max_in_flight=5)
    with endpoint(stalls(0.0, 20.0)) as server:
        tally = sent(server, plan, stop_when=lambda tally, second: second >= 1.5)
    assert tally.sent == tally.unanswered == 5
    assert 25 <= tally.not_sent < 100


def test_a_rate_that_nothing_can_send_ends_at_ctrl_c_and_by_itself() -> None:
    with endpoint(lambda headers, body: json_reply([1])) as server:
        sent(server, LoadPlan(rate=1e9, duration=60), stop_when=lambda tally, second: second > 0.5)
        tally = sent(server, LoadPlan(rate=1e9, duration=0.3, timeout=0.3))
    assert tally.sent > 0
    # All of them are accounted for, though nobody counted them one by one.
    assert tally.sent + tally.not_sent == pytest.approx(3e8, rel=1e-6)


def test_a_caller_whose_requests_reach_nobody_does_not_ask_without_pause() -> None:
    with endpoint(lambda headers, body: json_reply([1])) as server:
        pass
    tally = sent(server, LoadPlan(concurrency=2, duration=0.5))
    assert tally.sent == sum(tally.errors.values())
    assert 2 <= tally.sent <= 20 + 2


def test_a_signature_that_cannot_be_renewed_is_a_remark_and_is_tried_again() -> None:
    renewed: list[int] = []
    passed = timedelta()

    def now() -> datetime:
        return datetime.now(UTC) + passed

    def renew() -> dict[str, Any]:
        renewed.append(1)
        raise RuntimeError("the session has ended")

    clients = connect_endpoint("http://127.0.0.1:1", "AKIAEXAMPLEEXAMPLE00", "secret", "us-east-1")
    keys = RefreshableCredentials("key", "secret", "token", now() + timedelta(hours=2), renew, "test", now)
    clients._session._session._credentials = keys
    requests = SignedRequests(clients, ENDPOINT, [Payload("a", b"first", "text/plain")], lasts=0.1)
    first = requests.at(0)
    passed = timedelta(hours=3)  # the keys have expired

    async def twice() -> None:
        fresh = asyncio.create_task(requests.keep_fresh())
        await until(lambda: len(renewed) >= 2)
        assert not fresh.done()
        fresh.cancel()

    asyncio.run(twice())
    assert requests.at(0) is first
    assert len(requests.remarks) == 1
    assert "the session has ended" in requests.remarks[0]


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (aws_error(429, "ThrottlingException", "Rate exceeded"), "ThrottlingException", "Rate exceeded"),
        (
            aws_error(424, "ModelError", "Received 500", OriginalMessage="no such picture"),
            "ModelError",
            "no such picture",
        ),
        ((503, {}, b"<html>busy</html>"), "HTTP 503", "<html>busy</html>"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "HTTP 302", ""),
    ],
)
def test_errors_are_counted_by_kind_with_their_first_words(reply: Reply, kind: str, words: str) -> None:
    with endpoint(lambda headers, body: reply) as server:
        tally = sent(server, LoadPlan(rate=20, duration=0.5))
    assert dict(tally.errors) == {kind: 10}
    assert tally.words == {kind: words}
    assert tally.latency.count == 0


def test_a_server_that_is_gone_is_no_connection() -> None:
    with endpoint(lambda headers, body: json_reply([1])) as server:
        pass
    tally = sent(server, LoadPlan(rate=20, duration=0.5))
    assert dict(tally.errors) == {"no connection": 10}


def function_reply(answer: Any, **headers: str) -> Reply:
    return json_reply(answer, 200, **headers)


@pytest.mark.parametrize(
    ("reply", "errors"),
    [
        (function_reply({"statusCode": 200, "body": "[[1]]"}), {}),
        (function_reply([1, 2]), {}),
        (function_reply({"statusCode": 502, "body": '{"error": "AccessDenied"}'}), {"function: statusCode 502": 10}),
        (
            function_reply({"errorMessage": "boom"}, **{"X-Amz-Function-Error": "Unhandled"}),
            {"function: Unhandled": 10},
        ),
    ],
)
def test_a_function_that_fails_is_an_error_though_lambda_answers(reply: Reply, errors: dict[str, int]) -> None:
    with endpoint(lambda headers, body: reply) as server:
        tally = sent(server, LoadPlan(rate=20, duration=0.5), FUNCTION)
        assert all(path == "/2015-03-31/functions/dogs/invocations?Qualifier=live" for path, _, _ in server.asked)
        assert all(headers["x-amz-log-type"] == "Tail" for _, headers, _ in server.asked)
    assert dict(tally.errors) == errors


def test_cold_starts_are_those_whose_start_the_caller_waited_for() -> None:
    waited = base64.b64encode(REPORT.format(billed=313).encode()).decode()
    prepared = base64.b64encode(REPORT.format(billed=13).encode()).decode()
    assert started_cold(waited)
    assert not started_cold(prepared)
    assert not started_cold("")
    answers = iter([waited, prepared, waited])
    with endpoint(lambda headers, body: json_reply({}, 200, **{"X-Amz-Log-Result": next(answers, "")})) as server:
        tally = sent(server, LoadPlan(rate=10, duration=0.5), FUNCTION)
    assert tally.cold == 2


def test_the_bodies_are_sent_in_turn_with_signatures_of_their_own() -> None:
    with endpoint(lambda headers, body: json_reply([1])) as server:
        sent(server, LoadPlan(rate=20, duration=0.5))
        by_body = {body: headers for _, headers, body in server.asked}
        assert sorted(by_body) == [b"2", b"first"]
        assert by_body[b"first"]["content-type"] == "text/plain"
        assert by_body[b"first"]["authorization"] != by_body[b"2"]["authorization"]
        assert [body for _, _, body in server.asked].count(b"first") == 5


def test_old_seconds_keep_their_percentiles_without_their_histograms() -> None:
    tally = Tally()
    for second in range(30):
        tally.send(second, second, 0.0)
        tally.finish(second, second + 0.01, _good())
    assert sum(one.latency is not None for one in tally.seconds) == 1
    assert all(one.as_dict(number)["p99"] == pytest.approx(10, rel=0.01) for number, one in enumerate(tally.seconds))


def test_a_request_that_waited_for_long_counts_in_the_second_in_which_it_was_due() -> None:
    tally = Tally()
    tally.send(0.5, 39.0, None)
    for second in range(39):  # held back, all of them, and sent when the first was
        tally.send(1.0 + second, 39.0, None)
        tally.finish(1.0 + second, 39.5, _good())
    tally.finish(0.5, 40.5, _good())
    assert tally.seconds[0].as_dict(0)["p50"] == pytest.approx(40_000, rel=0.01)
    assert tally.seconds[1].as_dict(1)["p50"] == pytest.approx(38_500, rel=0.01)
    tally.send(41.0, 41.0, 0.0)
    assert sum(one.latency is not None for one in tally.seconds) == 1


def _good() -> Any:
    from sagehound.pipeline.load.tally import Reply as Answered

    return Answered()
