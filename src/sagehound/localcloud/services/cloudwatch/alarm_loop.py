"""The loop that evaluates every alarm whenever one of its periods has ended, by the clock of the cloud."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sagehound.localcloud.services.cloudwatch.aggregator import MetricAggregator
from sagehound.localcloud.services.cloudwatch.alarm_history import HISTORY_KEPT
from sagehound.localcloud.services.cloudwatch.alarm_math import period_of
from sagehound.localcloud.services.cloudwatch.alarm_states import AlarmStates
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, AlarmTable
from sagehound.localcloud.services.cloudwatch.tables import DAY, HOUR
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

SETTLE = 0.05
"""Real seconds between the end of a period and its evaluation: what happened in it has been counted by then."""
SLICE = 0.005
"""Real seconds of evaluations in a row before others on the event loop have their turn."""
RETRY = 1.0
"""Real seconds after which alarms that could not be read are read again."""
MINUTE = 60


class AlarmLoop:
    """Every alarm is due at the ends of its steps, counted from 1970: being late once makes nothing later. Ends that
    were missed (a stopped server, an overloaded machine) are left out; the points of the metric tell of them anyway."""

    def __init__(self, clock: Clock, table: AlarmTable, states: AlarmStates, aggregator: MetricAggregator) -> None:
        self._clock = clock
        self._table = table
        self._states = states
        self._aggregator = aggregator
        self._seen: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._tidied = 0.0

    def wake(self) -> None:
        """There is an alarm that the loop may not be waiting for."""
        self._changed.set()

    async def run(self) -> None:
        """Evaluate for ever; what goes wrong now (a full disk) is tried again at the next end."""
        while True:
            with _logged("alarms are not evaluated"):
                while True:
                    self._changed.clear()
                    await self._evaluate(self._due(self._now()))
                    self._tidy()
                    await self._wait()
            await asyncio.sleep(RETRY)

    def _now(self) -> float:
        """What happened before then has been counted."""
        return self._clock.time() - SETTLE * self._clock.speed

    def _due(self, now: float) -> list[tuple[Alarm, int]]:
        """The alarms of the steps that have ended since they were looked at, and where they ended."""
        steps: dict[int, list[Alarm]] = {}
        for alarm in self._table.all():
            steps.setdefault(step_of(alarm), []).append(alarm)
        found = []
        for step, alarms in steps.items():
            end = int(now // step) * step
            if end > self._seen.setdefault(step, end):
                self._seen[step] = end
                found += [(alarm, end) for alarm in alarms]
        for step in self._seen.keys() - steps.keys():
            del self._seen[step]
        return found

    async def _evaluate(self, due: list[tuple[Alarm, int]]) -> None:
        begun = time.monotonic()
        for alarm, end in due:
            with _logged(f"alarm {alarm.name} is not evaluated"):
                self._aggregator.flush()
                current = self._table.get(alarm.region, alarm.name)
                if current is not None:
                    self._states.evaluate(current, end)
            if time.monotonic() - begun > SLICE:
                await asyncio.sleep(0)
                begun = time.monotonic()

    def _tidy(self) -> None:
        now = self._clock.time()
        if now - self._tidied > HOUR:
            self._tidied = now
            with _logged("old history is not dropped"):
                self._table.forget_history(now - HISTORY_KEPT)

    async def _wait(self) -> None:
        """Until the next end of a step, or until there is another alarm."""
        now = self._now()
        ends = [end + step - now for step, end in self._seen.items()]
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.001, min(ends) / self._clock.speed) if ends else None):
                await self._changed.wait()


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Whatever is wrong with one alarm, or for now with the store, the loop goes on."""
    try:
        yield
    except sqlite3.OperationalError as error:
        logger.warning("%s yet: %s", what, error)
    except Exception:
        logger.exception("%s", what)


def step_of(alarm: Alarm) -> int:
    """How often an alarm is evaluated: each period if it is a short one, each minute otherwise, and each hour if it
    looks at more than a day."""
    period = period_of(alarm.metric)
    if period * alarm.metric["EvaluationPeriods"] > DAY:
        return HOUR
    return min(period, MINUTE)
