"""What a load sends: files as they are, events for functions, or the test pictures of the bucket."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.payloads import payloads_of, stored_payloads
from sagehound.pipeline.load.plan import EndpointTarget, FunctionTarget
from sagehound.pipeline.names import Names
from sagehound.settings import PipelineSettings
from tests.pipeline.conftest import Uploaded, picture_bytes

ENDPOINT, FUNCTION = EndpointTarget("e"), FunctionTarget("f")


def test_files_are_sent_with_the_content_type_of_their_kind(tmp_path: Path) -> None:
    for name, kind in {"a.png": "image/png", "b.jpg": "image/jpeg", "c.json": "application/json", "d": ""}.items():
        (tmp_path / name).write_bytes(b"content")
        (payload,) = payloads_of(ENDPOINT, [tmp_path / name])
        assert (payload.content, payload.content_type) == (b"content", kind or "application/octet-stream")


def test_a_function_is_sent_pictures_in_events_and_json_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "event.json").write_text('{"url": "https://example.org/a.png"}')
    picture, event = payloads_of(FUNCTION, [tmp_path / "a.png", tmp_path / "event.json"])
    assert base64.b64decode(json.loads(picture.content)["image"]) == b"\x89PNG"
    assert json.loads(event.content) == {"url": "https://example.org/a.png"}
    assert {picture.content_type, event.content_type} == {"application/json"}


def test_a_file_that_is_missing_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"none\.png cannot be read"):
        payloads_of(ENDPOINT, [tmp_path / "none.png"])
    (tmp_path / "large.png").write_bytes(bytes(5_000_000))
    with pytest.raises(StepFailed, match=r"large\.png is an event of"):
        payloads_of(FUNCTION, [tmp_path / "large.png"])


def test_test_pictures_of_the_bucket_are_spread_over_the_classes(
    clients: Clients, names: Names, settings: PipelineSettings, uploaded: Uploaded
) -> None:
    with pytest.raises(StepFailed, match="no uploaded data set"):
        stored_payloads(clients, names, ENDPOINT, "", 3)
    uploaded(settings)
    sent = stored_payloads(clients, names, ENDPOINT, "", 3)
    assert len({payload.content for payload in sent}) == 3
    assert {payload.content_type for payload in sent} == {"image/png"}
    assert all(payload.content[:4] == picture_bytes(0)[:4] for payload in sent)
    assert json.loads(stored_payloads(clients, names, FUNCTION, "", 1)[0].content).keys() == {"image"}
