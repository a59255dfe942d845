"""A capacity search: on a queue that is calculated, where the answer is known, and on a real endpoint."""

from __future__ import annotations

import dataclasses
import heapq
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sagehound.cli.main import app
from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.capacity import CapacitySearch, Search, SearchInterrupted, capacity_of
from sagehound.pipeline.load.measuring import measure_capacity
from sagehound.pipeline.load.plan import EndpointTarget, LoadPlan
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.schedule import arrivals
from sagehound.pipeline.load.signing import Payload
from sagehound.pipeline.load.tally import Reply, Tally
from sagehound.pipeline.load.verdict import GENERATOR, IN_FLIGHT, MOST_RATE, growth, verdict_of
from sagehound.settings import LoadSettings
from tests.cloud.hosting import Hosting
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded

BODY = [Payload("body", b"x", "text/plain")]
SLOW = """
import threading, time
lock = threading.Lock()
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    with lock: time.sleep(0.02)
    return "done", "text/plain"
"""
"""An instance that answers one request after the other, each in 20 ms: it holds a little under 50 a second."""
USUAL = Search(bound=500.0, tolerance=0.05, step=4.0)


class Queue:
    """A target whose capacity is known: so many workers that take ``service`` seconds, give or take a share."""

    def __init__(
        self, service: float, workers: int = 1, spread: float = 0.2, seed: int = 0, instances: int = 1
    ) -> None:
        self.capacity = workers / service
        self.seconds = 0.0
        self.plans: list[LoadPlan] = []
        self.instances = instances
        self.before: Callable[[LoadPlan], None] = lambda plan: None
        self.generator: Callable[[LoadPlan], dict[str, Any]] = lambda plan: {}
        self._service, self._workers, self._spread = service, workers, spread
        self._chance = random.Random(seed)

    def __call__(self, plan: LoadPlan) -> LoadResult:
        self.plans.append(plan)
        self.before(plan)
        tally, free = Tally(), [0.0] * self._workers
        callers = [0.0] * plan.concurrency
        dues = iter(arrivals(plan)) if not plan.closed else None
        while (due := heapq.heappop(callers) if dues is None else next(dues, plan.duration)) < plan.duration:
            spread = 1 + self._spread * (2 * self._chance.random() - 1)
            done = max(due, heapq.heappop(free)) + self._service * spread
            heapq.heappush(free, done)
            heapq.heappush(callers, done)
            tally.send(due, due, 0.0)
            tally.finish(due, done, Reply())
        elapsed = max(free)
        self.seconds += elapsed
        return _result(plan, tally, elapsed, self.instances, self.generator(plan))


def _result(plan: LoadPlan, tally: Tally, elapsed: float, instances: int, generator: dict[str, Any]) -> LoadResult:
    kept_up = {"kept_up": True, "reasons": [], "cores": 0.1, "lateness": {}, "held_back": 0, "not_sent": 0}
    return LoadResult(
        target={"kind": "endpoint", "name": "queue"},
        plan=plan.as_dict(),
        started="2026-11-23T00:00:00.000+00:00",
        speed=1.0,
        ended="completed",
        elapsed=elapsed,
        sent=tally.sent,
        answered=tally.answered,
        seconds=[one.as_dict(number) for number, one in enumerate(tally.seconds)],
        percentiles=tally.latency.as_dict(),
        corrected=None,
        errors=dict(tally.errors),
        error_words=dict(tally.words),
        instances=[{"second": 0.0, "current": instances, "desired": instances}],
        concurrency=[],
        cold_starts=None,
        activities=[],
        generator=kept_up | generator,
        remarks=[],
    )


def found_of(queue: Queue, search: Search = USUAL) -> tuple[LoadResult, CapacitySearch]:
    looking = CapacitySearch(queue, search, lambda text: None)
    return looking.find(), looking


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("service", "workers"), [(0.02, 1), (0.005, 2), (0.03, 2), (0.1, 16)])
def test_the_capacity_of_a_queue_is_found_within_a_tenth_and_soon(service: float, workers: int, seed: int) -> None:
    queue = Queue(service, workers, seed=seed)
    verified, looking = found_of(queue)
    assert verified.plan["rate"] == pytest.approx(queue.capacity, rel=0.1)
    assert verified.percentiles["p99"] <= USUAL.bound
    assert looking.found.limited_by == ""
    assert looking.found.fails is not None
    assert looking.found.fails > verified.plan["rate"]
    assert queue.seconds < 120  # and 16 workers are not filled by the callers that the search begins with


def test_random_arrivals_leave_less_to_hold_and_no_two_steps_are_the_same_accident() -> None:
    evenly, at_random = Queue(0.02), Queue(0.02)
    held, _ = found_of(evenly)
    less, _ = found_of(at_random, dataclasses.replace(USUAL, arrivals="poisson", seed=7, bound=100.0))
    assert less.plan["rate"] < 0.97 * held.plan["rate"]
    opened = [plan for plan in at_random.plans if not plan.closed]
    assert {plan.arrivals for plan in opened} == {"poisson"}
    assert [plan.seed for plan in opened] == [7 + number for number in range(len(opened))]
    assert {plan.arrivals for plan in evenly.plans} == {"constant"}


def test_a_rate_that_is_a_little_too_much_grows_and_is_no_capacity_though_its_p99_is_low() -> None:
    queue = Queue(0.02, spread=0.0)
    over = queue(LoadPlan(rate=54.0, duration=4.0))
    assert over.percentiles["p99"] < 500
    assert growth(over) == pytest.approx(0.08, abs=0.02)
    told = verdict_of(over, 500.0, 0.05)
    assert not told.holds
    assert f"latency grew by {growth(over) * 1000:.0f} ms each second" in told.why
    assert verdict_of(queue(LoadPlan(rate=49.0, duration=4.0)), 500.0, 0.05).holds


def test_a_step_that_failed_because_this_program_was_full_is_no_limit_of_the_target() -> None:
    queue = Queue(0.001)
    queue.generator = lambda plan: (
        {"kept_up": False, "reasons": ["this program used 0.97 of a core"], "cores": 0.97, "not_sent": 5}
        if plan.rate > 500
        else {}
    )
    verified, looking = found_of(queue, dataclasses.replace(USUAL, max_rate=10_000.0))
    capacity = capacity_of(verified, USUAL, looking.found, "ml.m5.large")
    assert 450 <= capacity.rate <= 500
    assert capacity.limited_by == GENERATOR
    assert f"holds at least {capacity.rate:.3g} a second" in capacity.sentence()
    assert "this program was full, not the target" in capacity.sentence()
    failed = [one for one in capacity.steps if not one["holds"]]
    assert failed
    assert all(one["limited_by"] == GENERATOR and not one["kept_up"] for one in failed)


@pytest.mark.parametrize(
    ("generator", "limited_by"),
    [
        ({"kept_up": False, "lateness": {"p99": 520.0}}, GENERATOR),  # nearly all of it is this program's
        ({"kept_up": False, "lateness": {"p99": 300.0}}, ""),  # 260 ms keep the bound, but they grew in 4 s
        ({"kept_up": False, "lateness": {"p99": 12.0}}, ""),  # late, but the target is far slower
        ({"kept_up": False, "cores": 1.0}, GENERATOR),
        ({"held_back": 10}, ""),  # the bound lets six be under way at this rate, and a thousand may
    ],
)
def test_who_was_full_in_a_step_that_does_not_hold(generator: dict[str, Any], limited_by: str) -> None:
    queue = Queue(0.02, spread=0.0)
    queue.generator = lambda plan: generator
    over = queue(LoadPlan(rate=57.0, duration=4.0))
    assert over.percentiles["p99"] == pytest.approx(560, abs=80)
    told = verdict_of(over, 300.0, 0.05)
    assert (told.holds, told.limited_by) == (False, limited_by)


def test_requests_that_may_not_be_under_way_are_no_limit_of_the_target() -> None:
    queue = Queue(0.02, spread=0.0)
    queue.generator = lambda plan: {"held_back": 10}
    over = queue(LoadPlan(rate=60.0, duration=4.0, max_in_flight=15))
    assert verdict_of(over, 300.0, 0.05).limited_by == IN_FLIGHT


def test_the_search_ends_at_the_highest_rate_that_it_may_try() -> None:
    queue = Queue(0.001)
    verified, looking = found_of(queue, dataclasses.replace(USUAL, max_rate=120.0))
    capacity = capacity_of(verified, USUAL, looking.found, "")
    assert (capacity.rate, capacity.limited_by, capacity.limit) == (120.0, MOST_RATE, None)
    assert max(plan.rate for plan in queue.plans) == 120.0
    assert "it holds at least 120 a second" in capacity.sentence()
    assert "load.max_rate" in capacity.sentence()


@pytest.mark.parametrize("how", ["in a load", "between two"])
def test_ctrl_c_leaves_the_steps_before_it(how: str) -> None:
    queue = Queue(0.02)

    def interrupt(plan: LoadPlan) -> None:
        if len(queue.plans) == 5 and how == "between two":
            raise KeyboardInterrupt

    def run(plan: LoadPlan) -> LoadResult:
        result = queue(plan)
        return dataclasses.replace(result, ended="interrupted") if len(queue.plans) == 5 else result

    queue.before = interrupt
    looking = CapacitySearch(run, USUAL, lambda text: None)
    with pytest.raises(SearchInterrupted):
        looking.find()
    assert len(looking.found.steps) == 2
    assert looking.found.told[0].startswith("warm-up: 8 callers reach ")


def test_instances_that_miss_a_look_are_there_and_those_that_come_are_not_measured_with_the_others() -> None:
    queue = Queue(0.02, instances=2)
    verified, looking = found_of(queue)
    blinked = [{"second": 0.1 * number, "current": seen, "desired": 2} for number, seen in enumerate((2, 0, 1, 2))]
    capacity = capacity_of(dataclasses.replace(verified, instances=blinked), USUAL, looking.found, "ml.m5.large")
    assert capacity.instances == 2
    assert capacity.per_instance == capacity.rate / 2

    def scale_out(plan: LoadPlan) -> None:
        queue.instances = 3 if len(queue.plans) == 4 else 2

    queue.plans.clear()
    queue.before = scale_out
    with pytest.raises(StepFailed, match="from 2 to 3 instances"):
        found_of(queue)


def test_what_one_instance_holds_is_found_and_verified(
    cloud: CloudProcess, clients: Clients, recorded: Recorded, tmp_path: Path
) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("capacity", SLOW)
    settings = LoadSettings(step=2.0, tolerance=0.1)
    with recorded.reporter.step("load") as step:
        result = measure_capacity(clients, EndpointTarget(name), BODY, settings, recorded.reporter, step, bound=250.0)
    capacity = result.capacity
    assert capacity is not None
    # One after the other in at least 20 ms each: never above 50 a second, and not far below it.
    assert 30 <= capacity.rate <= 50 * (1 + settings.tolerance)
    assert capacity.p99 <= 250
    assert (capacity.instances, capacity.instance_type) == (1, "ml.m5.large")
    assert capacity.steps[-1]["holds"]
    assert any(not one["holds"] for one in capacity.steps)
    assert recorded.steps()["load"]["text"].startswith("one ml.m5.large instance holds ")
    result.write(tmp_path / "capacity.json")
    assert LoadResult.read(tmp_path / "capacity.json").capacity == capacity
    hosting.delete(name)


def test_a_bound_that_no_request_keeps_is_said(cloud: CloudProcess, clients: Clients, recorded: Recorded) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("bound", SLOW)
    settings = LoadSettings(step=1.0, tolerance=0.5)
    with recorded.reporter.step("load") as step, pytest.raises(StepFailed, match="no rate holds p99 5 ms"):
        measure_capacity(clients, EndpointTarget(name), BODY, settings, recorded.reporter, step, bound=5.0)
    hosting.delete(name)


def test_ctrl_c_in_a_search_saves_what_was_measured_and_ends_with_130(cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(cloud)
    name = hosting.endpoint("search", SLOW)
    (tmp_path / "body.txt").write_text("x")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "sagehound.cli.main", "load", "--endpoint", name, "--capacity", "--json"),
            *("--picture", "body.txt", "--data-dir", str(cloud.data_dir), "--set", "load.step=1"),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        told = json.loads(line)
        if told["event"] == "note" and told["text"].startswith("warm-up"):
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(60) == 130, rest
    result = LoadResult.read(tmp_path / "sagehound-load.json")
    assert result.ended == "interrupted"
    assert result.capacity is None
    assert any(remark.startswith("warm-up: 8 callers reach ") for remark in result.remarks)
    assert "interrupted before a capacity was found" in rest
    hosting.delete(name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--capacity", "--rate", "5"], "--capacity and --rate"),
        (["--capacity", "--concurrency", "5"], "--capacity and --concurrency"),
        (["--capacity", "--duration", "5"], "--capacity and --duration"),
        (["--capacity", "--ramp", "5"], "--capacity and --ramp"),
        (["--capacity", "--after", "5"], "--capacity and --after"),
        (["--rate", "5", "--concurrency", "5"], "--rate and --concurrency"),
        (["--endpoint", "a", "--function", "b"], "--endpoint and --function"),
        (["--p99", "100"], "--p99 is the bound of --capacity"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(cloud: CloudProcess, options: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["load", *options, "--json", "--data-dir", str(cloud.data_dir)])
    assert done.exit_code == 1
    assert words in done.output
