"""AWS's own lines and error texts around an invocation."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime

TIMED_OUT, EXIT_ERROR, TOO_LARGE = "Sandbox.Timedout", "Runtime.ExitError", "Function.ResponseSizeTooLarge"
SIGNALS = {
    1: "hangup", 2: "interrupt", 3: "quit", 4: "illegal instruction", 5: "trace/breakpoint trap", 6: "aborted",
    7: "bus error", 8: "floating point exception", 9: "killed", 11: "segmentation fault", 13: "broken pipe",
    14: "alarm clock", 15: "terminated",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a runtime gave no answer: AWS's error type and what it says of it, or the runtime's own error document."""

    type: str
    text: str
    document: bytes | None = None

    @property
    def status(self) -> str:
        return "timeout" if self.type == TIMED_OUT else "error"

    def payload(self, request_id: str) -> bytes:
        """What the caller gets."""
        if self.document is not None:
            return self.document
        prefix = "" if self.type == TOO_LARGE else f"RequestId: {request_id} Error: "
        return json.dumps({"errorType": self.type, "errorMessage": prefix + self.text}, separators=(",", ":")).encode()

    def log_line(self, request_id: str) -> str | None:
        """What the log says of it, where the runtime has not said it itself."""
        if self.document is not None:
            return None
        if self.type == TIMED_OUT:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
            return f"{now}Z {request_id} {self.text}"
        return f"RequestId: {request_id} Error: {self.text}\n{self.type}"

    def report_fields(self) -> str:
        """The end of a REPORT or INIT_REPORT line."""
        error_type = "" if self.type == TIMED_OUT else f"\tError Type: {self.type}"
        return f"\tStatus: {self.status}{error_type}"


def timed_out(timeout: float) -> Failure:
    """The deadline has passed."""
    return Failure(TIMED_OUT, f"Task timed out after {timeout:.2f} seconds")


def exited(code: int | None) -> Failure:
    """The process has ended by itself, or was killed (None: nobody saw how)."""
    if code == 0:
        return Failure(EXIT_ERROR, "Runtime exited without providing a reason")
    if code is not None and code > 0:
        return Failure(EXIT_ERROR, f"Runtime exited with error: exit status {code}")
    number = 9 if code is None else -code
    return Failure(EXIT_ERROR, f"Runtime exited with error: signal: {SIGNALS.get(number, f'signal {number}')}")


def too_large(limit: int) -> Failure:
    """The handler's answer is longer than an answer may be."""
    return Failure(TOO_LARGE, f"Response payload size exceeded maximum allowed payload size ({limit} bytes).")


@dataclass(frozen=True, slots=True)
class Usage:
    """What an invocation took."""

    seconds: float
    init_seconds: float | None
    memory_used_mb: int
    provisioned: bool

    @property
    def billed_ms(self) -> int:
        """Whole milliseconds; initialising on demand is billed with the invocation, provisioned it was before."""
        init = 0.0 if self.init_seconds is None or self.provisioned else self.init_seconds
        return max(1, math.ceil((self.seconds + init) * 1000))


def report_line(request_id: str, usage: Usage, memory_size: int, failure: Failure | None) -> str:
    """The last line of an invocation."""
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {usage.seconds * 1000:.2f} ms",
        f"Billed Duration: {usage.billed_ms} ms",
        f"Memory Size: {memory_size} MB",
        f"Max Memory Used: {usage.memory_used_mb} MB",
    ]
    if usage.init_seconds is not None:
        fields.append(f"Init Duration: {usage.init_seconds * 1000:.2f} ms")
    return "\t".join(fields) + (failure.report_fields() if failure else "")


def init_report_line(seconds: float, failure: Failure, phase: str) -> str:
    """AWS reports an initialisation by itself only where it failed."""
    return f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: {phase}{failure.report_fields()}"
