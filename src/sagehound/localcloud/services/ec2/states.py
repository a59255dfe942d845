"""The states of an instance: which may follow which, their codes, and why an instance is in one."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.state.lifecycle import Lifecycle

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
LIFECYCLE = Lifecycle(
    "InstanceState",
    {
        "pending": {"running", "stopping", "stopped", "shutting-down", "terminated"},
        "running": {"stopping", "shutting-down"},
        "stopping": {"stopped", "shutting-down"},
        "stopped": {"pending", "shutting-down"},
        "shutting-down": {"terminated"},
        "terminated": set(),
    },
)
"""A start that fails goes back to where it came from: a first one to terminated, a later one to stopped."""
UNSETTLED = ("pending", "stopping", "shutting-down")
"""States in which this cloud has something to do."""
GONE = ("shutting-down", "terminated")
"""States in which an instance holds no address, group or quota any more."""

USER = "Client.UserInitiatedShutdown", "User initiated shutdown"
INSIDE = "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"
CRASHED = (
    "Server.InternalError",
    "The instance's processes ended without a shutdown: killed, out of memory, or this machine was restarted",
)


def shown(state: str) -> dict[str, Any]:
    """A state as AWS answers it."""
    return {"Code": CODES[state], "Name": state}


def reason(code: str, message: str) -> dict[str, str]:
    """StateReason, whose message begins with its code."""
    return {"Code": code, "Message": f"{code}: {message}"}
