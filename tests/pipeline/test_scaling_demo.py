"""Scaling as it happens: what load a demonstration sends, and one on a clock that runs sixty times as fast."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import Interrupted, StepFailed
from sagehound.pipeline.clients import Clients, CloudClock, connect_local
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.load.plan import FunctionTarget
from sagehound.pipeline.load.standing import Standing
from sagehound.pipeline.names import Names
from sagehound.pipeline.place import LOCAL_CLOUD
from sagehound.pipeline.progress import JsonReporter, Reporter, Step
from sagehound.pipeline.run import Options, run
from sagehound.pipeline.scaling import scale
from sagehound.pipeline.scaling_demo import Shown, peak_plan, show_scaling
from sagehound.pipeline.scaling_requests import CONCURRENCY, CPU
from sagehound.pipeline.upload import StoredData, upload
from sagehound.settings import LoadSettings, PipelineSettings, ScaleSettings
from tests.cloud.hosting import Hosting, answering
from tests.cloud.lambda_functions import Bench, unique
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded

USUAL = ScaleSettings()
FAST = CloudClock(60.0)
HANDLER = "import time\ndef handler(event, context):\n    time.sleep(0.02)\n    return {'image': len(event['image'])}\n"


def changed(**changes: Any) -> ScaleSettings:
    return dataclasses.replace(USUAL, **changes)


@pytest.mark.parametrize(
    ("speed", "target", "most"), [(60.0, 20.0, 3), (30.0, 20.0, 3), (60.0, 7.0, 5), (1.0, 60.0, 2)]
)
def test_the_load_is_more_than_all_but_one_hold_and_less_than_all_do(speed: float, target: float, most: int) -> None:
    clock = CloudClock(speed)
    plan = peak_plan(changed(target=target, max_capacity=most), LoadSettings(), clock, LOCAL_CLOUD)
    a_minute = plan.rate * 60 / speed
    assert (most - 1) * target < a_minute < most * target
    assert plan.duration > 3 * 60 / speed
    assert plan.after > (most - 1) * 15 * 60 / speed


def test_requests_at_once_are_asked_for_by_callers() -> None:
    plan = peak_plan(changed(metric=CONCURRENCY, target=5.0), LoadSettings(), FAST, LOCAL_CLOUD)
    assert (plan.concurrency, plan.rate) == (12, 0.0)


def test_more_than_can_be_sent_is_refused_with_the_clock_that_fits() -> None:
    with pytest.raises(
        StepFailed, match="3 instances at target 420 need 1008 requests a second at clock x60"
    ) as caught:
        peak_plan(changed(target=420.0), LoadSettings(), FAST, LOCAL_CLOUD)
    assert "scale.demo_speed = 12" in caught.value.hint
    assert peak_plan(changed(target=420.0), LoadSettings(), CloudClock(11.0), LOCAL_CLOUD).rate < 200
    with pytest.raises(StepFailed, match="from 2 to 2 instances nothing scales"):
        peak_plan(changed(min_capacity=2, max_capacity=2), LoadSettings(), FAST, LOCAL_CLOUD)
    with pytest.raises(StepFailed, match="nobody knows how many requests make CPUUtilization 20"):
        peak_plan(changed(metric=CPU), LoadSettings(), FAST, LOCAL_CLOUD)


@pytest.mark.parametrize(
    ("scaling", "options", "words"),
    [
        ({"min_capacity": 4}, Options(), "scale.min_capacity 4 is above scale.max_capacity 3"),
        ({"function_min": 5}, Options(), "scale.function_min 5 is above scale.function_max 4"),
        ({"target": 1e6}, Options(scale_demo=True), "need .* requests a second at clock x1"),
    ],
)
def test_a_walk_that_cannot_scale_so_does_not_even_begin(
    scaling: dict[str, Any], options: Options, words: str, clients: Clients, recorded: Recorded, tmp_path: Path
) -> None:
    settings = dataclasses.replace(PipelineSettings(), scale=changed(**scaling))
    with pytest.raises(StepFailed, match=words):
        run(clients, settings, str(tmp_path), tmp_path, recorded.reporter, options)
    assert recorded.steps() == {}


@dataclass
class Stage:
    """A project on a fast clock with an endpoint, a function and pictures: all that a demonstration needs."""

    clients: Clients
    names: Names
    settings: PipelineSettings
    data: StoredData

    def show(self, reporter: Reporter, step: Step) -> Shown:
        """The demonstration itself."""
        return show_scaling(
            self.clients,
            self.names,
            self.settings.scale,
            self.settings.load,
            self.data.name,
            self.names.endpoint,
            FunctionTarget(self.names.function, "live"),
            reporter,
            step,
        )


@pytest.fixture
def stage(fast_cloud: CloudProcess, pictures: Path, recorded: Recorded, tmp_path: Path) -> Iterator[Stage]:
    hosting, bench = Hosting(fast_cloud), Bench(fast_cloud)
    endpoint, function = hosting.endpoint(unique("dogs"), answering("woof")), bench.create(HANDLER)
    version = bench.client.publish_version(FunctionName=function)["Version"]
    bench.active(function, Qualifier=version)
    bench.client.create_alias(FunctionName=function, Name="live", FunctionVersion=version)
    usual = PipelineSettings()
    settings = dataclasses.replace(
        usual,
        deploy=dataclasses.replace(usual.deploy, endpoint_name=endpoint),
        function=dataclasses.replace(usual.function, name=function),
        scale=changed(target=8.0),
    )
    clients = connect_local(fast_cloud.data_dir, fast_cloud.region)
    names = Names.of(settings, clients.account_id)
    manifest = take_in(str(pictures), settings.data, tmp_path / "cache", recorded.reporter)
    with recorded.reporter.step("upload") as step:
        data = upload(clients, names, manifest, recorded.reporter, step)
    yield Stage(clients, names, settings, data)
    hosting.delete(endpoint)


class PressesCtrlC(JsonReporter):
    """Presses Ctrl-C once the load has been sent and its end is being watched."""

    pressed = False

    def load(self, standing: Standing) -> None:
        """Look at the load; called in a thread."""
        super().load(standing)
        if standing.second > standing.duration and not standing.in_flight and not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("scaling")
def test_ctrl_c_while_the_instances_are_watched_ends_the_demonstration(stage: Stage) -> None:
    reporter = PressesCtrlC(io.StringIO())
    with pytest.raises(Interrupted, match="what was scaled stays so"), reporter.step("load") as step:
        stage.show(reporter, step)
    assert reporter.pressed


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("scaling")
def test_a_load_takes_the_endpoint_up_and_back_and_the_function_is_ready(stage: Stage, recorded: Recorded) -> None:
    assert str(stage.clients.clock) == "clock x60"
    with recorded.reporter.step("scale") as step:
        scale(stage.clients, stage.names, stage.settings, recorded.reporter, step)
        assert "at clock x60 its minute is 1 s, so it is 8 a second here" in step.lines[0]
    with recorded.reporter.step("load") as step:
        shown = stage.show(recorded.reporter, step)
    counts = [one["current"] for one in shown.endpoint.instances]
    assert (counts[0], max(counts), counts[-1]) == (1, 3, 1)
    # Nothing is lost, whatever starts and ends meanwhile.
    assert (shown.endpoint.errors, shown.endpoint.answered) == ({}, shown.endpoint.sent)
    told = [one["description"] for one in shown.endpoint.activities]
    assert told[-2:] == ["Setting desired instance count to 2.", "Setting desired instance count to 1."]
    assert any("AlarmHigh in state ALARM" in line for line in step.lines)
    assert any("AlarmLow in state ALARM" in line for line in step.lines)
    assert shown.function is not None
    assert (shown.function.errors, shown.function.cold_starts) == ({}, 0)
    assert max(one["available"] for one in shown.function.concurrency) >= 2
    assert [one.target["kind"] for one in shown.loads] == ["endpoint", "function"]
