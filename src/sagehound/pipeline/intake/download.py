"""A file from an http(s) address, resumed where an earlier try broke off, and checked.

The bytes grow in `NAME.part`; beside it lies what they belong to (address, ETag or Last-Modified). A later try
asks for the rest with `Range` and `If-Range`, so a file that changed on the server is fetched anew rather than
joined to the old half (RFC 9110, sections 13.1.5 and 14.2). `#sha256=...` behind the address is checked.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.cache_lock import cache_lock
from sagehound.pipeline.intake.http_only import HttpOnlyRedirects, refuse_other_schemes

_CHUNK = 1 << 18
_TIMEOUT_SECONDS = 30.0
_TRIES_WITHOUT_A_BYTE = 6
_RANGE_NOT_SATISFIABLE = 416
_NOT_MODIFIED = 304
_TRY_AGAIN = (408, 429)

Progress = Callable[[int, int], None]


class _Interrupted(Exception):
    """The connection broke or ended early; what came so far is kept and the rest is asked for again."""


@dataclass(frozen=True)
class _Version:
    """Which version of the file the bytes on disk belong to."""

    url: str
    etag: str
    last_modified: str
    size: int

    @property
    def validator(self) -> str:
        """What If-Range takes: a strong ETag, else the date ("" where the server gave neither)."""
        return self.last_modified if self.etag.startswith("W/") or not self.etag else self.etag


def download(url: str, cache: Path, max_bytes: int, progress: Progress, note: Callable[[str], None]) -> Path:
    """The downloaded file (kept in the cache; asked for again only where the server says that it changed).

    Raises DataRefused for another scheme than http(s), an answer that is no success, a wrong size or SHA-256,
    or a connection that gives nothing in several tries.
    """
    address, _, fragment = url.partition("#")
    wanted = urllib.parse.parse_qs(fragment).get("sha256", [""])[0].lower()
    refuse_other_schemes(address)
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path)).name or "download"
    folder = cache / "downloads" / hashlib.sha256(address.encode()).hexdigest()[:16]
    target, part = folder / name, folder / f"{name}.part"
    with cache_lock(folder):
        folder.mkdir(exist_ok=True)
        version = _known(target)
        if not (target.exists() and version and _still_current(version, note)):
            _fetch(address, part, max_bytes, progress)
            part.rename(target)
            _sidecar(part).rename(_sidecar(target))
        _check_sha256(target, wanted, address)
    return target


def _fetch(url: str, part: Path, max_bytes: int, progress: Progress) -> None:
    """Bring ``part`` to its full size; gives up after several tries in a row that brought no byte."""
    idle = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch_rest(url, part, max_bytes, progress)
            return
        except _Interrupted as error:
            now = part.stat().st_size if part.exists() else 0
            idle = 0 if now > before else idle + 1
            if idle >= _TRIES_WITHOUT_A_BYTE:
                raise DataRefused(
                    f"{url} stopped after {now:,} bytes: {error}", "Run the same command again: it goes on from there."
                ) from error
            time.sleep(0.05 * 2**idle)  # back-off, so that a server in trouble is not hammered


def _fetch_rest(url: str, part: Path, max_bytes: int, progress: Progress) -> None:
    version = _known(part)
    have = part.stat().st_size if part.exists() and version and version.validator and version.url == url else 0
    if version and have and have == version.size:
        return
    headers = {"Accept-Encoding": "identity"}
    if version and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version.validator}
    try:
        with _open(url, headers) as answer:
            start = _start_of(answer, have)
            length = answer.headers.get("Content-Length")
            size = start + int(length) if length is not None and length.isdigit() else 0
            if size > max_bytes:
                raise DataRefused(
                    f"{url} has {size / 1e9:,.2f} GB, more than data.max_download_gb", "Raise the setting."
                )
            _refuse_full_disk(url, size - start, part.parent)
            current = _Version(url, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""), size)
            _sidecar(part).write_text(json.dumps(asdict(current)))
            _receive(answer, part, start, current, max_bytes, progress)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            raise _Interrupted("the server no longer has that range") from error
        if error.code >= 500 or error.code in _TRY_AGAIN:
            raise _Interrupted(f"HTTP {error.code} {error.reason}") from error
        raise DataRefused(f"{url} answered HTTP {error.code} {error.reason}", "Check the address.") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Interrupted(str(getattr(error, "reason", "") or error)) from error


def _start_of(answer: http.client.HTTPResponse, have: int) -> int:
    """Where the answer's bytes begin: the position asked for (206), or 0 where the whole file comes (200)."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    content_range = answer.headers.get("Content-Range", "")
    if not content_range.startswith(f"bytes {have}-"):
        raise _Interrupted(f"the server sent {content_range or 'an unnamed range'} instead of bytes {have}-")
    return have


def _receive(
    answer: http.client.HTTPResponse, part: Path, start: int, version: _Version, max_bytes: int, progress: Progress
) -> None:
    done = start
    with part.open("r+b" if start else "wb") as sink:
        sink.seek(start)
        while chunk := answer.read(_CHUNK):
            sink.write(chunk)
            done += len(chunk)
            if done > max_bytes:
                raise DataRefused(f"{version.url} is larger than data.max_download_gb", "Raise the setting.")
            progress(done, version.size)
    if version.size and done != version.size:
        raise _Interrupted(f"{done:,} of {version.size:,} bytes came")


def _still_current(version: _Version, note: Callable[[str], None]) -> bool:
    """Ask the server whether the finished file is the one that it has; without an answer, take it as it is."""
    headers = {"Accept-Encoding": "identity"}
    if version.etag:
        headers["If-None-Match"] = version.etag
    elif version.last_modified:
        headers["If-Modified-Since"] = version.last_modified
    try:
        with _open(version.url, headers, method="HEAD") as answer:
            length = answer.headers.get("Content-Length", "")
            same_tag = answer.headers.get("ETag", "") == version.etag
            return same_tag and length == str(version.size)
    except urllib.error.HTTPError as error:
        if error.code == _NOT_MODIFIED:
            return True
        note(f"{version.url} answered HTTP {error.code}; the file downloaded earlier is used")
        return True
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        note(f"{version.url} cannot be reached ({error}); the file downloaded earlier is used")
        return True


def _open(url: str, headers: dict[str, str], method: str = "GET") -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers=headers, method=method)
    opener = urllib.request.build_opener(HttpOnlyRedirects())
    answer: http.client.HTTPResponse = opener.open(request, timeout=_TIMEOUT_SECONDS)
    return answer


def _check_sha256(target: Path, wanted: str, url: str) -> None:
    if not wanted:
        return
    with target.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != wanted:
        target.unlink()
        _sidecar(target).unlink(missing_ok=True)
        raise DataRefused(
            f"{url} has SHA-256 {found}, not {wanted}", "The file was thrown away. Check the address and the number."
        )


def _refuse_full_disk(url: str, size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataRefused(
            f"{url} needs {size / 1e9:,.2f} GB and the disk has {free / 1e9:,.2f} GB free",
            "Free some space, or set SAGEHOUND_CACHE_DIR to a folder on a larger disk.",
        )


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _known(path: Path) -> _Version | None:
    try:
        return _Version(**json.loads(_sidecar(path).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return None  # a half-written record: the bytes cannot be trusted to belong to anything
