"""The step: one load from its first request to its last answer, watched and told as it goes"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.outcome import result_of
from sagehound.pipeline.load.plan import FunctionTarget, LoadPlan, Target
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.running import Load
from sagehound.pipeline.load.sender import Sender
from sagehound.pipeline.load.signing import Payload, SignedRequests
from sagehound.pipeline.load.tally import Tally
from sagehound.pipeline.load.view import clock_words
from sagehound.pipeline.load.watching import watch_of
from sagehound.pipeline.load.words import lines_of, sentence_of
from sagehound.pipeline.progress import Reporter, Step

_TELL_SECONDS = 1.0
_UNREAD = "the capacity could not be read"
_SWITCH_SECONDS = 0.0005
"""How long a thread that asks AWS something may keep the sender from its work (Python's own: ten times that)."""


def load(
    clients: Clients,
    target: Target,
    payloads: Sequence[Payload],
    plan: LoadPlan,
    reporter: Reporter,
    step: Step | None = None,
) -> LoadResult:
    """Send the load, watch what the cloud does, and say what came of it; Ctrl-C ends it with what was measured so far.

    Raises StepFailed where the target is not there or does not serve.
    """
    with aws_step("load"):
        running = Load(
            clients,
            target,
            plan,
            SignedRequests(clients, target, payloads),
            Tally(),
            watch_of(clients, target),
            reporter,
        )
        running.watch.look()
    if words := clock_words(clients.clock.speed):
        reporter.note(words, speed=clients.clock.speed)
    with _undisturbed(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(running))
    result = result_of(running)
    if step is not None:
        tell(result, step)
    return result


def tell(result: LoadResult, step: Step) -> None:
    """The result as the step's sentence, with lines for what a reader should know beside it."""
    step.lines = lines_of(result)
    brief = {"sent": result.sent, "answered": result.answered, "errors": result.errors, "ended": result.ended}
    step.done(sentence_of(result), **brief, percentiles=result.percentiles, generator=result.generator)


async def _run(running: Load) -> None:
    """Sender, watch and view side by side until the last answer, and the watch for as long after as was asked for."""
    stop = asyncio.Event()
    sender = Sender(running.requests, running.plan, running.tally, function=isinstance(running.target, FunctionTarget))
    with _ctrl_c(stop):
        running.watch.seen.begin()
        running.cpu = time.process_time()
        helpers = [asyncio.create_task(_look(running)), asyncio.create_task(_tell(running))]
        try:
            whole = await sender.run(stop)
            running.elapsed = running.watch.seen.second
            running.cpu = time.process_time() - running.cpu
            if whole and running.plan.after:
                await _afterwards(running, stop)
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            with _remarked(running, _UNREAD):
                await asyncio.to_thread(running.watch.finish)
            running.watched = running.watch.seen.second
        running.whole = not stop.is_set()


async def _look(running: Load) -> None:
    """Look at the cloud again and again."""
    while True:
        await asyncio.sleep(running.watch.pause)
        with _remarked(running, _UNREAD):
            await asyncio.to_thread(running.watch.look)


async def _tell(running: Load) -> None:
    """Show how the load stands, again and again."""
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        with _remarked(running, "the load could not be shown"):
            await asyncio.to_thread(running.reporter.load, running.standing())


@contextmanager
def _remarked(running: Load, what: str) -> Iterator[None]:
    """What goes wrong beside the load is a remark, once: the requests go on, and what was measured is kept."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - no error of an onlooker is worth the load that was sent
        remark = f"{what}: {type(error).__name__}: {error}"
        if remark not in running.watch.seen.remarks:
            running.watch.seen.remarks.append(remark)


async def _afterwards(running: Load, stop: asyncio.Event) -> None:
    """Watch until the capacity is what it was, or the time is over."""
    end = time.monotonic() + running.plan.after
    while not stop.is_set() and time.monotonic() < end and not running.watch.settled():
        with suppress(TimeoutError):
            async with asyncio.timeout(running.watch.pause):
                await stop.wait()


@contextmanager
def _ctrl_c(stop: asyncio.Event) -> Iterator[None]:
    """Ctrl-C ends the load, not the program; a second one does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    installed = signal.getsignal(signal.SIGINT)

    def first() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, first)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, installed)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Short turns for other threads, and no walk of the collector over all that was imported."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)


def _loop_factory() -> Callable[[], Any] | None:
    try:
        import uvloop
    except ImportError:  # there is none for this platform
        return None
    factory: Callable[[], Any] = uvloop.new_event_loop
    return factory
