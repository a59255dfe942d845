"""Why a training job failed, in the words of the container's toolkit: FailureReason."""

from __future__ import annotations

import re
import shlex
import signal
from collections import deque
from pathlib import Path

from sagehound.localcloud.processes.supervisor import Exit
from sagehound.localcloud.services.sagemaker import job_files

LIMIT = 1024
"""Characters that FailureReason holds."""
_KEPT_LINES = 60
_TRACEBACK = "Traceback (most recent call last):"
_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, "
    "or reduce the size of job data processed on an instance."
)

KILLED, OWN_ERROR, PEER_LOST = range(3)
"""Kinds of bad ends, the likelier cause of the others first: who was killed, or lost without a trace; who had an error
of its own; who only noticed that another was gone."""
_PEER_WORDS = re.compile(
    r"lost the connection to|Connection (?:closed|reset) by peer|Broken pipe|Connection refused|gloo/transport"
    r"|ncclRemoteError|ncclSystemError|NCCL error|socketProgress|[Cc]onnection was likely"
    r"|Dist(?:Backend|Network|Store)Error"
)
_SIGNAL_OF_A_CHILD = re.compile(r"Signal \d+ \(SIG[A-Z]+\) received by PID|was killed by signal \d+")
"""How torchrun, and the process launcher, say that one of their processes was killed."""


class LastWords:
    """The last lines that a program wrote, whichever stream they came through."""

    def __init__(self, lines: list[str] | None = None) -> None:
        self._lines: deque[str] = deque(lines or [], maxlen=_KEPT_LINES)

    def add(self, line: str) -> None:
        """One more line."""
        if line.strip():
            self._lines.append(line)

    @property
    def lines(self) -> list[str]:
        """The lines themselves, oldest first: kept with the job, so that a restart does not forget them."""
        return list(self._lines)

    def text(self, limit: int) -> str:
        """The end of the last traceback, or the last five lines; its end is what is kept when it is too long."""
        lines = self.lines
        starts = [index for index, line in enumerate(lines) if line.startswith(_TRACEBACK)]
        chosen = lines[starts[-1] :] if starts else lines[-5:]
        text = "\n".join(chosen)
        return text if len(text) <= limit else f"...{text[3 - limit :]}"


def exit_code(end: Exit) -> int:
    """The exit code as a container reports it: 128 + N for signal N."""
    if end.signal is not None:
        return 128 + end.signal
    return end.code if end.code is not None else 1


def kind(end: Exit, words: LastWords) -> int:
    """KILLED, OWN_ERROR or PEER_LOST: which of several bad ends is the cause of the others."""
    text = "\n".join(words.lines)
    if end.lost or _SIGNAL_OF_A_CHILD.search(text):
        return KILLED
    # nccl's watchdog aborts a process whose peer is gone.
    if end.signal is not None and end.signal != signal.SIGABRT:
        return KILLED
    return PEER_LOST if _PEER_WORDS.search(text) else OWN_ERROR


def reason(end: Exit, words: LastWords, argv: list[str], ml: Path, out_of_memory: bool, host: str | None = None) -> str:
    """FailureReason of a program that ended with an error, with the host's name in a job of several.

    What the program wrote to /opt/ml/output/failure comes first (`ml` is its /opt/ml), its last words otherwise.
    """
    where = f", host: {host}" if host else ""
    if out_of_memory:
        return _OUT_OF_MEMORY + where
    code = exit_code(end)
    suffix = f", exit code: {code}{where}"
    own = _failure_file(ml)
    if own:
        prefix = "AlgorithmError: "
        return prefix + own[: LIMIT - len(prefix) - len(suffix)] + suffix
    head = f"AlgorithmError: ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "
    killed = f" (killed by signal {end.signal})" if end.signal is not None else ""
    command = shlex.join(argv)
    tail = f'\nCommand "{command if len(command) <= 240 else command[:237] + "..."}"{suffix}'
    message = words.text(LIMIT - len(head) - len(killed) - len(tail) - 2)
    return f'{head}"{message}"{killed}{tail}'


def _failure_file(ml: Path) -> str:
    path = job_files.regular(ml, ml / "output/failure")
    if path is None:
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(LIMIT).strip()


def out_of_memory_kills() -> int:
    """How often the kernel has killed for want of memory since the machine started; 0 where it does not say."""
    try:
        counters = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    except OSError:
        return 0
    return int(counters.get("oom_kill", 0))
