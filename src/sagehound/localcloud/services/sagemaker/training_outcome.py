"""How a training job ends: Completed, Stopped by its owner or by its time limit, or Failed with a reason"""

from __future__ import annotations

from sagehound.localcloud.services.sagemaker.training_status import STOPPED_BY_LIMIT

Outcome = dict[str, str]
"""Status, Secondary and, of a failure, Reason."""

COMPLETED: Outcome = {"Status": "Completed", "Secondary": "Completed"}
STOPPED: Outcome = {"Status": "Stopped", "Secondary": "Stopped"}
TIMED_OUT: Outcome = {"Status": "Stopped", "Secondary": STOPPED_BY_LIMIT}


def failed(reason: str) -> Outcome:
    """The outcome of a job that failed."""
    return {"Status": "Failed", "Secondary": "Failed", "Reason": reason}
