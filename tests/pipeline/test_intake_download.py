"""Downloads from a real loopback server that drops connections, changes files and redirects."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.download import download
from sagehound.pipeline.intake.source import take_in
from sagehound.settings import DataSettings

GB = 10**9


@dataclass
class Shelf:
    """One file as a server has it, how it misbehaves, and what was asked of it."""

    content: bytes
    etag: str = '"v1"'
    drop_after: list[int] = field(default_factory=list)  # bytes sent per GET before the connection is cut
    ranges: bool = True
    declare_length: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    location: str = ""
    status: int = 200


class Handler(BaseHTTPRequestHandler):
    """Range and If-Range as RFC 9110 has them, and a cut connection where the shelf says so."""

    shelf: Shelf
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        shelf = self.shelf
        wanted = self.headers.get("Range", "")
        shelf.asked.append((self.command, wanted, self.headers.get("If-Range", "")))
        self.close_connection = True
        if shelf.location or shelf.status != 200:
            self.send_response(302 if shelf.location else shelf.status)
            self.send_header("Location", shelf.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.headers.get("If-None-Match") == shelf.etag:
            self.send_response(304)
            self.end_headers()
            return
        start = 0
        if shelf.ranges and wanted and self.headers.get("If-Range") == shelf.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(shelf.content) - 1}/{len(shelf.content)}")
        if shelf.declare_length:
            self.send_header("Content-Length", str(len(shelf.content) - start))
        self.send_header("ETag", shelf.etag)
        self.end_headers()
        if not body:
            return
        rest = shelf.content[start:]
        if shelf.drop_after:
            rest = rest[: shelf.drop_after.pop(0)]
        self.wfile.write(rest)


@pytest.fixture
def served() -> Iterator[tuple[Shelf, str]]:
    shelf = Shelf(content=bytes(range(256)) * 8_000)
    handler = type("ThisHandler", (Handler,), {"shelf": shelf})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield shelf, f"http://127.0.0.1:{server.server_address[1]}/dog-project/dog%20Images.zip"
    server.shutdown()
    server.server_close()
    thread.join()


def no_progress(done: int, total: int) -> None:
    """Nobody watches."""


def fetch(url: str, cache: Path, notes: list[str] | None = None, maximum: int = GB) -> Path:
    return download(url, cache, maximum, no_progress, (notes if notes is not None else []).append)


def test_a_connection_that_breaks_is_resumed_where_it_broke(served, tmp_path) -> None:
    shelf, url = served
    shelf.drop_after = [700_000, 300_000]
    seen: list[tuple[int, int]] = []
    path = download(url, tmp_path, GB, lambda done, total: seen.append((done, total)), lambda text: None)
    assert path.name == "dog Images.zip"
    assert path.read_bytes() == shelf.content
    assert shelf.asked == [("GET", "", ""), ("GET", "bytes=700000-", '"v1"'), ("GET", "bytes=1000000-", '"v1"')]
    assert seen[-1] == (len(shelf.content), len(shelf.content))


def test_an_interrupted_run_is_resumed_by_the_next(served, tmp_path) -> None:
    shelf, url = served
    shelf.drop_after = [500_000] + [0] * 6
    with pytest.raises(DataRefused, match="stopped after 500,000 bytes") as refused:
        fetch(url, tmp_path)
    assert "goes on from there" in refused.value.hint
    shelf.asked.clear()
    assert fetch(url, tmp_path).read_bytes() == shelf.content
    assert shelf.asked == [("GET", "bytes=500000-", '"v1"')]


def test_a_file_that_changed_meanwhile_is_not_joined_to_the_old_half(served, tmp_path) -> None:
    shelf, url = served
    shelf.drop_after = [500_000] + [0] * 6
    with pytest.raises(DataRefused):
        fetch(url, tmp_path)
    shelf.content, shelf.etag = b"another file entirely" * 1_000, '"v2"'
    assert fetch(url, tmp_path).read_bytes() == shelf.content


def test_a_server_without_ranges_is_asked_for_the_whole_again(served, tmp_path) -> None:
    shelf, url = served
    shelf.ranges = False
    shelf.drop_after = [500_000]
    assert fetch(url, tmp_path).read_bytes() == shelf.content


def test_a_finished_file_is_fetched_again_only_when_it_changed(served, tmp_path) -> None:
    shelf, url = served
    fetch(url, tmp_path)
    shelf.asked.clear()
    fetch(url, tmp_path)
    assert [method for method, _, _ in shelf.asked] == ["HEAD"]
    shelf.content, shelf.etag = b"new", '"v2"'
    assert fetch(url, tmp_path).read_bytes() == b"new"


def test_without_the_network_the_finished_file_is_used(served, tmp_path) -> None:
    shelf, url = served
    fetch(url, tmp_path)
    shelf.status = 503
    notes: list[str] = []
    assert fetch(url, tmp_path, notes).read_bytes() == shelf.content
    assert "the file downloaded earlier is used" in notes[0]


def test_the_sha256_behind_the_address_is_checked(served, tmp_path) -> None:
    shelf, url = served
    good = hashlib.sha256(shelf.content).hexdigest()
    assert fetch(f"{url}#sha256={good}", tmp_path).exists()
    with pytest.raises(DataRefused, match=f"has SHA-256 {good}, not {'0' * 64}"):
        fetch(f"{url}#sha256={'0' * 64}", tmp_path)
    shelf.asked.clear()
    fetch(url, tmp_path)  # the file that did not match was thrown away
    assert shelf.asked[0][0] == "GET"


def test_a_download_without_a_length_still_has_a_limit(served, tmp_path) -> None:
    shelf, url = served
    with pytest.raises(DataRefused, match=r"more than data.max_download_gb"):
        fetch(url, tmp_path, maximum=1_000_000)
    shelf.declare_length = False
    with pytest.raises(DataRefused, match=r"larger than data.max_download_gb"):
        fetch(url, tmp_path / "other", maximum=1_000_000)


@pytest.mark.parametrize("url", ["ftp://example.org/x.zip", "file:///etc/passwd", "http:///x.zip"])
def test_only_http_and_https_are_fetched(url, tmp_path) -> None:
    with pytest.raises(DataRefused, match="no http or https address"):
        fetch(url, tmp_path)


def test_a_redirect_to_another_scheme_is_refused(served, tmp_path) -> None:
    shelf, url = served
    shelf.location = "file:///etc/passwd"
    with pytest.raises(DataRefused):
        fetch(url, tmp_path)


def test_a_missing_page_is_said_at_once(served, tmp_path) -> None:
    shelf, url = served
    shelf.status = 404
    with pytest.raises(DataRefused, match="answered HTTP 404"):
        fetch(url, tmp_path)
    assert len(shelf.asked) == 1


def test_a_zip_behind_an_address_is_a_data_set(served, picture, recorded, tmp_path) -> None:
    shelf, url = served
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for label in ("cat", "dog"):
            for number in range(5):
                archive.writestr(f"dogImages/{label}/{number}.png", picture(hash((label, number))))
    shelf.content = out.getvalue()
    manifest = take_in(url, DataSettings(), tmp_path / "cache", recorded.reporter)
    assert (manifest.name, len(manifest.pictures)) == ("dog-Images", 10)


def test_a_page_instead_of_a_zip_is_refused(served, recorded, tmp_path) -> None:
    shelf, url = served
    shelf.content = b"<html>sign in</html>"
    with pytest.raises(DataRefused, match="neither a folder nor a zip"):
        take_in(url, DataSettings(), tmp_path / "cache", recorded.reporter)
