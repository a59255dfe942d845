"""What keeps an instance of an endpoint from being healthy, as FailureReason says it."""

from __future__ import annotations

from sagehound.localcloud.processes.supervisor import Exit


class NotHealthy(Exception):
    """The instance did not come up; the text is what FailureReason says."""


class Killed(NotHealthy):
    """It did not come up since a signal ended it."""


def ended(exit: Exit, variant: str, last_words: str) -> NotHealthy:
    """The model server ended before it was healthy."""
    kind = NotHealthy if exit.signal is None else Killed
    return kind(why(f"The model server ended ({ending(exit)}).", variant, last_words))


def why(what: str, variant: str, last_words: str) -> str:
    """AWS's sentence, what happened here, and the last words of the log."""
    return (
        f"The primary container for production variant {variant} did not pass the ping health check. Please check "
        f"CloudWatch logs for this endpoint. {what}" + (f" Last words:\n{last_words}" if last_words else "")
    )


def ending(exit: Exit) -> str:
    """How a process ended."""
    if exit.signal is not None:
        return f"signal {exit.signal}"
    return "nobody saw how" if exit.lost else f"exit code {exit.code}"
