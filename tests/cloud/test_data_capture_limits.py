"""Data capture within its bounds: memory, the size of files, hours, and what a killed server leaves half written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sagehound.localcloud.services.sagemaker import endpoint_capture_files
from sagehound.localcloud.services.sagemaker.endpoint_capture import Budget, Capture, Event, Rules, rules_of
from sagehound.localcloud.services.sagemaker.endpoint_capture_files import CaptureFiles, about, deliver, left_behind
from sagehound.localcloud.state.clock import Clock

HOUR = 1_800_000_000.0 // 3600 * 3600
VARIANT = {"VariantName": "v", "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r"}


def rules(**members: Any) -> Rules:
    config = {
        "DestinationS3Uri": "s3://b",
        "InitialSamplingPercentage": 100,
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["Text/CSV"]},
    }
    return rules_of({**config, **members}, "us-east-1", "e", VARIANT)


def event(moment: float, body: bytes = b"1", content_type: str | None = "text/csv") -> Event:
    return Event(moment, None, None, content_type, body, "text/csv", b"2")


class Place:
    """Where files go: a place that keeps what was asked in their lines, or has gone."""

    def __init__(self) -> None:
        self.stored: dict[str, list[str]] = {}
        self.missing = False

    def put(self, told: dict[str, str], lines: Path) -> str | None:
        if self.missing:
            return "NoSuchBucket: gone"
        captured = [json.loads(line)["captureData"] for line in lines.read_text().splitlines()]
        self.stored[told["Key"]] = [one["endpointInput"]["data"] for one in captured]
        return None


def test_what_has_no_room_is_counted_and_room_comes_back() -> None:
    capture = Capture(rules(), Clock(), Budget(5000))
    for _ in range(10):
        capture.take({"Content-Type": "text/csv"}, b"x" * 1000, {}, b"")
    events, lost = capture.hand_over()
    assert (len(events), lost) == (2, 8)
    assert not capture.waits
    capture.take({}, b"x" * 1000, {}, b"")
    assert capture.hand_over()[1] == 1
    capture.written(events)
    capture.take({}, b"x" * 1000, {}, b"")
    assert len(capture.hand_over()[0]) == 1


def test_a_share_of_the_invocations_is_sampled() -> None:
    capture = Capture(rules(InitialSamplingPercentage=30), Clock(), Budget())
    for _ in range(5000):
        capture.take({}, b"", {}, b"")
    # Ten standard deviations: by chance once in a universe.
    assert 1176 < len(capture.hand_over()[0]) < 1824


def test_each_hour_and_each_full_file_is_a_file_of_its_own(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(endpoint_capture_files, "FILE_BYTES", 1000)
    place = Place()
    written = CaptureFiles(rules(), tmp_path, place.put)
    assert list(written.write([event(HOUR - 0.5, b"before"), event(HOUR, b"after")])) == []
    assert list(place.stored.values()) == [["before"]]
    assert not written.is_due(HOUR + 59)
    assert written.is_due(HOUR + 60)
    assert list(written.write([event(HOUR + 1, b"y" * 900), event(HOUR + 2, b"next")])) == []
    assert list(place.stored.values())[1:] == [["after", "y" * 900]]
    assert list(written.deliver()) == []
    assert list(place.stored.values())[2:] == [["next"]]
    assert list(left_behind(tmp_path)) == []
    assert not written.open
    before, after, _ = place.stored
    assert before.startswith("e/v/2027/01/15/07/59-59-500-")
    assert after.startswith("e/v/2027/01/15/08/00-00-000-")


def test_half_a_line_of_a_killed_server_is_cut_off(tmp_path: Path) -> None:
    place = Place()
    list(CaptureFiles(rules(), tmp_path, place.put).write([event(HOUR, b"1"), event(HOUR, b"2")]))
    (folder,) = left_behind(tmp_path)
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"captureData": {"endp')
    begun = tmp_path / "zzz"
    begun.mkdir()
    (begun / "events.jsonl").write_bytes(b"{}\n")
    assert about(folder)["EndpointName"] == "e"
    assert about(begun) == {}
    for left in left_behind(tmp_path):
        assert list(deliver(left, place.put)) == []
    assert list(place.stored.values()) == [["1", "2"]]
    assert list(left_behind(tmp_path)) == []


def test_what_cannot_be_delivered_is_told_with_its_number(tmp_path: Path) -> None:
    place = Place()
    place.missing = True
    written = CaptureFiles(rules(), tmp_path, place.put)
    list(written.write([event(HOUR), event(HOUR)]))
    (said,) = written.deliver()
    assert said.startswith("Data capture: 2 invocation(s) could not be written to s3://b/e/v/")
    assert said.endswith("(NoSuchBucket: gone)")
    assert list(left_behind(tmp_path)) == []


def test_text_that_is_none_is_written_as_base64() -> None:
    (line,) = [json.loads(rules().line(event(HOUR, b"\xff")))]
    assert line["captureData"]["endpointInput"]["encoding"] == "BASE64"
    unnamed = json.loads(rules().line(event(HOUR, b"x", None)))["captureData"]["endpointInput"]
    assert unnamed == {"mode": "INPUT", "data": "eA==", "encoding": "BASE64"}
