"""The server's end of the worker: starts it, asks it, starts it again once when it dies, and ends it for certain"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("worker.py")
_ANSWER_LIMIT = 1 << 20
_LAST_LINES = 20


class SearchFailed(Exception):
    """The worker cannot answer; the text has the last lines that it said."""


class _Died(Exception):
    """The worker has ended before it answered."""


class _Running:
    """One worker process, the requests that it owes an answer, and the last lines that it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.said: deque[str] = deque(maxlen=_LAST_LINES)
        self.ended = False
        self._drain = asyncio.create_task(self._listen(), name="search worker's messages")
        self.reader = asyncio.create_task(self._read(), name="search worker's answers")

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        while piece := await self.process.stderr.read(4096):
            lines = ((self.said.pop() if self.said else "") + piece.decode(errors="replace")).split("\n")
            self.said.extend(line[-500:] for line in lines)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            while line := await self.process.stdout.readline():
                answer = json.loads(line)
                # The answer of a request that was cancelled is nobody's.
                waiting = self.waiting.pop(answer["id"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (ValueError, KeyError):
            # What it says is no answer of ours: it cannot be relied on.
            self.end()
        finally:
            self.ended = True
            await self.process.wait()
            await self._drain
            for waiting in self.waiting.values():
                if not waiting.done():
                    waiting.set_exception(_Died())
            self.waiting.clear()

    async def ask(self, number: int, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.waiting[number] = waiting
        try:
            if self.ended:
                raise _Died
            self.process.stdin.write(json.dumps({**request, "id": number}).encode() + b"\n")
            await self.process.stdin.drain()
            return await waiting
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _Died from error
        finally:
            self.waiting.pop(number, None)

    def end(self) -> None:
        # Not Process.kill: it polls first, and may take the exit code away from the loop's own watcher.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    def complaint(self) -> str:
        return "\n".join(line for line in self.said if line.strip())


class WorkerProcess:
    """Asks the worker, starting it when it does not run; with `warm_up` its first suggestion of a GP is quick, too."""

    def __init__(self, *, warm_up: bool = False) -> None:
        self._options = ["--warm-up"] if warm_up else []
        self._numbers = itertools.count()
        self._start: asyncio.Task[_Running] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        running = self._current()
        return running.process.pid if running else None

    def start_early(self) -> None:
        """Start the worker in the background, so that its imports pass while nobody waits."""
        if self._start is None:
            self._start = asyncio.get_running_loop().create_task(_start(self._options), name="search worker's start")

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer; raises SearchFailed when it died twice, or says that it cannot."""
        complaint = ""
        for _ in range(2):
            running = await self._started()
            try:
                answer = await running.ask(next(self._numbers), request)
            except _Died:
                complaint = f"exit code {running.process.returncode}\n{running.complaint()}"
                continue
            if "error" in answer:
                raise SearchFailed(f"The search cannot suggest hyperparameters: {answer['error']}")
            return answer
        raise SearchFailed(f"The process that suggests hyperparameters died twice: {complaint}".rstrip())

    async def close(self) -> None:
        """End the worker; when this returns there is no process left."""
        self._closed = True
        if self._start is None:
            return
        # A start that has begun is waited for: a process that is being made cannot be ended yet.
        await asyncio.gather(self._start, return_exceptions=True)
        running = self._current()
        if running is not None:
            running.end()
            await asyncio.gather(running.reader, return_exceptions=True)

    def _current(self) -> _Running | None:
        if self._start is None or not self._start.done() or self._start.exception() is not None:
            return None
        running = self._start.result()
        return None if running.ended else running

    async def _started(self) -> _Running:
        if self._closed:
            raise SearchFailed("The search is closed.")
        if self._start is None or (self._start.done() and self._current() is None):
            self._start = asyncio.create_task(_start(self._options), name="search worker's start")
        try:
            # Whoever waits may be cancelled; the start goes on, for the next one.
            return await asyncio.shield(self._start)
        except OSError as error:
            raise SearchFailed(f"The process that suggests hyperparameters cannot be started: {error}") from error


async def _start(options: list[str]) -> _Running:
    return _Running(
        await asyncio.create_subprocess_exec(
            sys.executable,
            # Without the script's own folder on the path: its modules are no business of the worker's.
            "-P",
            str(SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_ANSWER_LIMIT,
            # A Ctrl-C in the server's terminal is the server's.
            start_new_session=True,
        )
    )
