"""Life cycles refuse what their table does not have."""

from __future__ import annotations

import pytest

from sagehound.localcloud.state.lifecycle import IllegalTransition, Lifecycle

JOB = Lifecycle(
    "TrainingJobStatus",
    {"InProgress": {"Completed", "Stopping"}, "Stopping": {"Stopped"}, "Completed": set(), "Stopped": set()},
)


def test_advance_moves_a_copy_and_sets_members() -> None:
    job = {"TrainingJobStatus": "InProgress", "TrainingJobName": "a"}
    after = JOB.advance(job, "Completed", TrainingTimeInSeconds=3)
    assert after == {"TrainingJobStatus": "Completed", "TrainingJobName": "a", "TrainingTimeInSeconds": 3}
    assert job["TrainingJobStatus"] == "InProgress"


def test_what_the_table_lacks_is_refused() -> None:
    with pytest.raises(IllegalTransition, match="Completed to InProgress"):
        JOB.advance({"TrainingJobStatus": "Completed"}, "InProgress")
    assert JOB.is_final("Stopped")
    assert not JOB.is_final("Stopping")


def test_a_table_with_an_unknown_successor_is_refused() -> None:
    with pytest.raises(ValueError, match="Gone"):
        Lifecycle("Status", {"Here": {"Gone"}})
