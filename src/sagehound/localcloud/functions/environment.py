"""One execution environment: a process of AWS's runtime client, its API, its log, and one invocation at a time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any, Protocol

from sagehound.localcloud.functions import report
from sagehound.localcloud.functions.launcher import RunningProgram
from sagehound.localcloud.functions.log import EnvironmentLog
from sagehound.localcloud.functions.machine import Machine, Place
from sagehound.localcloud.functions.memory import PeakMeter, resident_kb
from sagehound.localcloud.functions.pipe import OutputPipe
from sagehound.localcloud.functions.runtime_api import RESPONSE_LIMIT, RuntimeClient, event_message, listen
from sagehound.localcloud.functions.spec import FunctionSpec, Invocation, Outcome
from sagehound.localcloud.functions.variables import variables
from sagehound.localcloud.functions.work import InitFailure, NeverDelivered, Work

LAST_WORDS_SECONDS = 2.0
"""How long a runtime that has reported why it cannot start may take to end by itself."""


class _Ended(Exception):
    """The process has gone while it was waited for."""

    def __init__(self, failure: report.Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class Owner(Protocol):
    """Who pools environments."""

    def answered(self, environment: Environment) -> None:
        """It can take another invocation."""

    def ended(self, environment: Environment) -> None:
        """It has no process any more."""


class Environment:
    """Started by `initialise`, used by `run`, ended by `end`; the owner hears when it has answered and has ended."""

    def __init__(
        self, spec: FunctionSpec, machine: Machine, owner: Owner, log: EnvironmentLog, *, provisioned: bool
    ) -> None:
        self.spec = spec
        self.provisioned = provisioned
        self.log = log
        self.init_seconds = 0.0
        self.credentials_end = float("inf")
        self.last_used = time.monotonic()
        self.over = False
        self._machine = machine
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._program: RunningProgram | None = None
        self._place: Place | None = None
        self._server: asyncio.Server | None = None
        self._output = OutputPipe(log)
        self._peak: PeakMeter | None = None
        self._peak_kb = 0
        self._client: RuntimeClient | None = None
        self._frozen = False
        self._work: Work | None = None
        self._next: Work | None = None
        self._failure: report.Failure | None = None

    # -- initialising

    async def initialise(self, limit: float, credentials: dict[str, Any], endpoint_url: str) -> None:
        """Start the process; returns when it asks for its first event. InitFailure, or StartFailed by the machine."""
        begun = time.perf_counter()
        name = f"{os.urandom(16).hex()}.runtime" if self._machine.private else "127.0.0.1"
        self._place = await self._machine.place(self.spec, name)
        self._server, api = await listen(self, name)
        env = variables(
            self.spec, self._place.paths, credentials,
            api=api, host=name, endpoint_url=endpoint_url, log_stream=self.log.stream, provisioned=self.provisioned,
        )  # fmt: skip
        program = self._place.program(self.spec.handler, env)
        try:
            self._program = await self._machine.launcher.start(program, self._output.open())
        except BaseException:
            self._close()
            raise
        self._output.follow()
        left = limit - (time.perf_counter() - begun)
        timer = self._loop.call_later(left, self._give_up, report.timed_out(limit))
        self._machine.memory.add(self)
        self._program.find_main()
        self._program.when_ended(self._on_end)
        if self.over:
            self.end()
        try:
            await self._ready
        except _Ended as ended:
            raise InitFailure(ended.failure, time.perf_counter() - begun) from None
        except asyncio.CancelledError:
            self.end()
            raise
        finally:
            timer.cancel()
            self._machine.memory.discard(self)
        self.init_seconds = time.perf_counter() - begun
        self._peak = PeakMeter(self._program.find_main())

    def on_init_error(self, body: bytes, error_type: str) -> bool:
        """The runtime says why it cannot start, and ends by itself a moment later."""
        if self._ready.done():
            return False
        self._failure = report.Failure(error_type or "Runtime.Unknown", "", body)
        self._loop.call_later(LAST_WORDS_SECONDS, self.end)
        return True

    def _give_up(self, why: report.Failure) -> None:
        if self._failure is None:
            self._failure = why
        self.end()

    # -- invocations

    def run(
        self, invocation: Invocation, *, timeout: float, init_seconds: float | None = None, spent: float = 0.0
    ) -> asyncio.Future[Outcome]:
        """Give the handler an event: now, or as soon as the runtime asks for one."""
        work = Work(invocation, self._loop.create_future(), timeout, init_seconds, spent)
        self._next = work
        if self._client is not None and self._client.connected:
            self._deliver(self._client)
        elif self.over or self._client is not None:  # a runtime that has closed its connection will not ask again
            self._next = None
            self.end()
            work.answer.set_exception(NeverDelivered())
        else:  # it has just answered, and asks in a moment; one that never does is not waited for
            work.deadline = self._loop.call_later(timeout, self._give_up, report.timed_out(timeout))
        return work.answer

    def on_next(self, client: RuntimeClient) -> None:
        """The runtime is ready: for the first time, or after an answer. Without an event it is soon stopped."""
        self._client = client
        if not self._ready.done():
            self._ready.set_result(None)
        if self._next is not None:
            self._deliver(client)
        else:
            self._machine.freezer.add(self)

    def _deliver(self, client: RuntimeClient) -> None:
        work, self._work, self._next, self._client = self._next, self._next, None, None
        assert work is not None, "an event is delivered only when there is one"
        self.log.begin(f"START RequestId: {work.invocation.request_id} Version: {self.spec.version}")
        if work.deadline is not None:
            work.deadline.cancel()
        left = work.timeout - work.spent
        work.started = time.perf_counter()
        work.deadline = self._loop.call_later(left, self._give_up, report.timed_out(work.timeout))
        self._machine.memory.add(self)
        self._thaw()
        client.write(event_message(work.invocation, int((time.time() + left) * 1000)))

    def freeze(self) -> None:
        """Between invocations nothing of a function runs, as on AWS."""
        if self._program is not None and not self.over:
            self._program.stop_all()
            self._frozen = True

    def _thaw(self) -> None:
        self._machine.freezer.discard(self)
        if self._frozen and self._program is not None:
            self._frozen = False
            self._program.continue_all()

    def on_response(self, request_id: str, body: bytes, too_large: bool) -> bool:
        """The handler's answer; one that is too long is an error, after which the runtime ends."""
        if too_large:
            failure = report.too_large(RESPONSE_LIMIT)
            return self._finish(request_id, failure.payload(request_id), failure)
        return self._finish(request_id, body, None)

    def on_error(self, request_id: str, body: bytes) -> bool:
        """The handler raised; its document goes to the caller as it is."""
        return self._finish(request_id, body, None, raised=True)

    def _finish(self, request_id: str, payload: bytes, failure: report.Failure | None, raised: bool = False) -> bool:
        work = self._work
        if work is None or work.invocation.request_id != request_id or self._failure is not None:
            return False
        self._measure()
        if self._failure is not None:  # it has used too much: its answer comes when it has been killed
            return True
        # The handler wrote to the pipe before its client wrote to the socket: all its output is there by now.
        self._output.drain()
        self._answer(work, payload, failure, error=raised or failure is not None)
        if failure is None:
            self._owner.answered(self)
        return True

    def _answer(self, work: Work, payload: bytes, failure: report.Failure | None, *, error: bool) -> None:
        self._work = None
        self._machine.memory.discard(self)
        if work.deadline is not None:
            work.deadline.cancel()
        seconds = work.spent + (time.perf_counter() - work.started if work.started else 0.0)
        usage = report.Usage(seconds, work.init_seconds, self.memory_used_mb, self.provisioned)
        request_id = work.invocation.request_id
        tail = self.log.end(
            f"END RequestId: {request_id}", report.report_line(request_id, usage, self.spec.memory_size, failure)
        )
        self.last_used = time.monotonic()
        if not work.answer.done():
            work.answer.set_result(
                Outcome(
                    payload=payload,
                    error="Unhandled" if error else None,
                    seconds=seconds,
                    init_seconds=work.init_seconds,
                    billed_ms=usage.billed_ms,
                    memory_used_mb=usage.memory_used_mb,
                    log_tail=tail,
                    log_stream=self.log.stream,
                    provisioned=self.provisioned,
                )
            )

    def fail(self, invocation: Invocation, failure: report.Failure, spent: float) -> Outcome:
        """The outcome of an invocation for which this environment could not be initialised."""
        work = Work(invocation, self._loop.create_future(), 0.0, None, spent)
        # Not `begin`: the tail that the caller may ask for begins with the initialisation, which says what went wrong.
        self.log.line(f"START RequestId: {invocation.request_id} Version: {self.spec.version}")
        self._say(failure, invocation.request_id)
        self._answer(work, failure.payload(invocation.request_id), failure, error=True)
        self.log.flush()
        return work.answer.result()

    def _say(self, failure: report.Failure, request_id: str) -> None:
        self.log.end_line()
        line = failure.log_line(request_id)
        if line is not None:
            self.log.line(line)

    @property
    def ending(self) -> report.Failure:
        """Why it has ended."""
        return self._failure or report.exited(self._program.exit_code if self._program is not None else None)

    # -- memory

    @property
    def memory_used_mb(self) -> int:
        """The most that this environment has used since it was made, as AWS reports it."""
        used = -(-self._peak_kb // 1024)
        return min(used, self.spec.memory_size)

    def check_memory(self) -> None:
        """What the whole tree of processes has now counts as well as the peak of the main one."""
        assert self._program is not None
        self._peak_kb = max(self._peak_kb, resident_kb(self._program.members()))
        self._measure()

    def _measure(self) -> None:
        if self._peak is not None:
            self._peak_kb = max(self._peak_kb, self._peak.read_kb())
        if self._peak_kb > self.spec.memory_size * 1024:
            self._give_up(report.exited(-signal.SIGKILL))

    # -- the end

    def end(self) -> None:
        """Kill it, whatever it does."""
        self.over = True
        if self._program is not None:
            self._program.kill()

    async def wait_closed(self) -> None:
        """Returns when no process of it is left."""
        await self._closed.wait()

    def _on_end(self) -> None:
        """Every process of it has gone: whoever waits for it is told why."""
        self.over = True
        self._client = None
        assert self._program is not None
        self._output.drain()
        failure = self.ending
        if not self._ready.done():
            self._ready.set_exception(_Ended(failure))
        if self._work is not None:
            request_id = self._work.invocation.request_id
            self._say(failure, request_id)
            self._answer(self._work, failure.payload(request_id), failure, error=True)
        if self._next is not None:
            if self._next.deadline is not None:
                self._next.deadline.cancel()
            if not self._next.answer.done():
                self._next.answer.set_exception(NeverDelivered())
        self._close()
        self._owner.ended(self)
        self.log.close()

    def _close(self) -> None:
        self._output.close()
        if self._server is not None:
            self._server.close()
        if self._peak is not None:
            self._peak.close()
        if self._place is not None and self._place.own is not None:
            self._loop.run_in_executor(None, self._place.remove)
        self._machine.memory.discard(self)
        self._machine.freezer.discard(self)
        self.over = True
        self._closed.set()
