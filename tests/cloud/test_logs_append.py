"""How other services write logs: with their own records in one transaction, and durable."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from sagehound.localcloud.services.logs.service import Logs
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from tests.cloud_process import CloudProcess

REGION, GROUP = "us-east-1", "/aws/sagemaker/TrainingJobs"


def _messages(store: Store) -> list[str]:
    return [row["message"] for row in store.execute("SELECT message FROM log_events ORDER BY timestamp, sequence")]


def test_append_makes_group_and_stream_and_leaves_empty_lines_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.sqlite")
    logs = Logs(store, Clock(), "123456789012")
    logs.append(REGION, GROUP, "job/algo-1", [(2, "two"), (1, "one"), (2, ""), (2, "three")])
    logs.append(REGION, GROUP, "job/algo-1", [(2, "four")])
    assert _messages(store) == ["one", "two", "three", "four"]
    stream = store.execute("SELECT * FROM log_streams")[0]
    assert (stream["first_event"], stream["last_event"]) == (1, 2)
    store.close()


def test_events_and_offset_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.sqlite")
    logs = Logs(store, Clock(), "123456789012")
    with pytest.raises(sqlite3.OperationalError), store.transaction():
        logs.append(REGION, GROUP, "job/algo-1", [(1, "line")])
        store.put("job", REGION, "job", {"LogOffset": 5})
        store.execute("INSERT INTO no_such_table VALUES (1)")
    assert _messages(store) == []
    assert store.get("job", REGION, "job") is None
    assert store.execute("SELECT * FROM log_streams") == []
    store.close()


def test_acknowledged_events_survive_kill_9(own_cloud: CloudProcess) -> None:
    logs = own_cloud.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    for turn in range(3):
        event = {"timestamp": int(time.time() * 1000), "message": f"turn {turn}"}
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])
        own_cloud.restart(kill=True)
    events = own_cloud.client("logs").get_log_events(logGroupName="g", logStreamName="s")["events"]
    assert [event["message"] for event in events] == ["turn 0", "turn 1", "turn 2"]
