"""The record of calls: turned over when large, and no reason to refuse a call when it cannot be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagehound.localcloud.recorder import Recorder


def test_a_full_disk_is_said_once_and_calls_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "calls.jsonl"
    path.symlink_to("/dev/full")
    recorder = Recorder(path)
    for number in range(3):
        recorder.write(number=number)
    recorder.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"calls are not recorded in {path}: No space left on device"
    ]


def test_a_large_record_is_turned_over(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "calls.jsonl", max_bytes=100)
    for number in range(12):
        recorder.write(number=number, error=None)
    recorder.close()
    again = Recorder(tmp_path / "calls.jsonl", max_bytes=100)
    again.write(number=12)
    again.close()
    kept = [(tmp_path / name).read_text().splitlines() for name in ("calls.1.jsonl", "calls.jsonl")]
    assert [json.loads(line) for line in kept[0] + kept[1]] == [{"number": number} for number in range(13)]
