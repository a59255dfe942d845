"""What the engine of functions is told and what it answers: a version to run, an invocation, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One version of a function, as far as running it needs: everything here is fixed once an environment is made."""

    key: str
    """Changes whenever environments that were made before are no longer right; environments are pooled by it."""
    function_arn: str
    """The version's ARN; for $LATEST the unqualified one."""
    name: str
    version: str
    handler: str
    runtime: str
    role_arn: str
    memory_size: int
    """MB."""
    timeout: int
    """Seconds."""
    ephemeral_storage: int
    """MB of /tmp."""
    environment: dict[str, str] = field(hash=False)
    code: Path
    """The unpacked code, read-only."""
    layers: tuple[Path, ...]
    """The unpacked layers, in the order in which they are laid over each other below /opt."""
    region: str
    account_id: str
    log_group: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event on its way to a handler."""

    request_id: str
    payload: bytes
    invoked_arn: str
    """The ARN as the caller named it, with its qualifier."""
    client_context: str | None
    """JSON text, as it stood behind the base64 of X-Amz-Client-Context."""
    trace_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an invocation: the handler's answer or the error in AWS's shape, and what it took."""

    payload: bytes
    error: Literal["Unhandled"] | None
    seconds: float
    init_seconds: float | None
    """How long the environment took to initialise; None unless this invocation waited for it."""
    billed_ms: int
    memory_used_mb: int
    log_tail: bytes
    """The last 4 KB of the invocation's log, from START to REPORT."""
    log_stream: str
    provisioned: bool = False
    """Whether a provisioned environment answered; False is what AWS counts as spill-over."""


class InitFailed(Exception):
    """An environment could not be initialised ahead of its invocations; the text is the error in AWS's shape."""
