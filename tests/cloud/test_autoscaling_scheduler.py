"""The loop of scheduled actions on a plain scalable resource: what runs when, also after a clock that was ahead."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sagehound.localcloud.services.application_autoscaling.service import ApplicationAutoScaling
from sagehound.localcloud.services.application_autoscaling.table import SCHEDULED, ScalingTable
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from tests.cloud.scaling_world import ACCOUNT, DIMENSION, REGION, TARGET, Alarms, Fleet, World
from tests.waiting import until

HOUR_A_SECOND = 3600.0


class Scheduled(World):
    """Registered from 1 to 4."""

    def __init__(self, path: Path, speed: float = HOUR_A_SECOND) -> None:
        self.store = Store(path)
        self.clock = Clock(speed)
        self.fleet = Fleet()
        self.alarms = Alarms(self.clock)
        self.service = ApplicationAutoScaling(
            self.store, self.clock, ACCOUNT, scalables={DIMENSION: self.fleet}, alarms=self.alarms
        )
        self("RegisterScalableTarget", **TARGET, MinCapacity=1, MaxCapacity=4)

    def put(self, name: str, schedule: str) -> None:
        """An action that leaves the capacity as it is."""
        bounds = {"MinCapacity": 1}
        self("PutScheduledAction", **TARGET, ScheduledActionName=name, Schedule=schedule, ScalableTargetAction=bounds)

    def put_at(self, name: str, **later: float) -> None:
        """One that runs once, so much later."""
        moment = self.clock.now() + timedelta(**later)
        self.put(name, f"at({moment:%Y-%m-%dT%H:%M:%S})")

    def ran(self) -> list[str]:
        """The names of what has run, oldest first."""
        causes = [str(one["Cause"]) for one in reversed(self.activities())]
        return [cause.split()[3] for cause in causes if cause.startswith("scheduled action name ")]

    async def end(self) -> None:
        """As the server ends."""
        await self.service.stop()
        self.store.close()


async def test_a_rate_does_not_run_at_its_creation(tmp_path: Path) -> None:
    world = Scheduled(tmp_path / "cloud.sqlite", speed=1.0)
    await world.service.start()
    for number in range(40):
        world.put(f"daily-{number}", "rate(1 day)")
    world.put_at("soon", seconds=2)
    await until(lambda: "soon" in world.ran())
    assert world.ran() == ["soon"]
    await world.end()


async def test_an_action_that_cannot_run_keeps_no_other_from_it(tmp_path: Path) -> None:
    before = Scheduled(tmp_path / "cloud.sqlite")
    before.put("broken", "rate(1 day)")
    before.put("fine", "rate(5 minutes)")
    table = ScalingTable(before.store, ACCOUNT)
    (broken, _) = table.children(SCHEDULED, REGION, TARGET)
    table.put(SCHEDULED, REGION, {**broken, "Schedule": "rate(no time)"})
    before.store.close()
    after = Scheduled(tmp_path / "cloud.sqlite")
    await after.service.start()
    await until(lambda: len(after.ran()) > 1)
    assert set(after.ran()) == {"fine"}
    await after.end()


async def test_a_clock_that_is_put_back_repeats_no_moment_and_keeps_rates_going(tmp_path: Path) -> None:
    ahead = Scheduled(tmp_path / "cloud.sqlite")
    await ahead.service.start()
    ahead.put_at("once", minutes=30)
    ahead.put("passes", "rate(2 hours)")
    await until(lambda: "passes" in ahead.ran())
    ahead.put("every", "rate(6 minutes)")
    assert ahead.ran() == ["once", "passes"]
    moment = ahead.clock.now() - timedelta(hours=1)
    await ahead.end()
    again = Scheduled(tmp_path / "cloud.sqlite")
    await again.service.start()
    assert again.clock.now() < moment
    again.put("marker", "rate(1 hour)")
    await until(lambda: "marker" in again.ran())
    ran = again.ran()
    assert ran[:3] == ["once", "passes", "every"]
    assert ran.count("once") == 1
    await again.end()
