"""User data taken apart as cloud-init does: gzip, MIME multi-part, scripts, #cloud-config; the rest named."""

from __future__ import annotations

import string
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from enum import Enum

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of unpacked user data; more is refused, so that a few packed bytes cannot fill the memory."""
STARTS = {
    b"#!": "text/x-shellscript",
    b"#cloud-config": "text/cloud-config",
    b"#cloud-boothook": "text/cloud-boothook",
    b"#include": "text/x-include-url",
    b"#upstart-job": "text/upstart-job",
    b"#part-handler": "text/part-handler",
    b"## template: jinja": "text/jinja2",
}


NAME_CHARACTERS = frozenset("_-.()" + string.digits + string.ascii_letters)


class Kind(Enum):
    """What is done with a part."""

    SCRIPT = "text/x-shellscript"
    CLOUD_CONFIG = "text/cloud-config"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: what to do with it, its bytes, its MIME type as given or as its first line says, the name of a file."""

    kind: Kind
    content: bytes
    mime_type: str
    name: str


class Unreadable(ValueError):
    """User data that cannot be unpacked; the text says why."""


def parts(user_data: bytes) -> Iterator[Part]:
    """Every part in order. Unreadable when it is damaged."""
    content = _unpacked(user_data, SIZE_LIMIT)
    if not content.strip():
        return
    if _is_mime(content):
        yield from _mime_parts(message_from_bytes(content))
        return
    yield _part(content, "", "part-001")


def unzipped(data: bytes, limit: int = SIZE_LIMIT) -> bytes:
    """What gzip has packed, one member after the other. Unreadable when it is damaged, or larger than `limit`."""
    found = b""
    while data:
        try:
            reader = zlib.decompressobj(wbits=31)
            found += reader.decompress(data, limit + 1 - len(found))
        except zlib.error as error:
            raise Unreadable(f"the gzip data is damaged: {error}") from error
        if len(found) > limit:
            raise Unreadable(f"unpacked it is larger than {SIZE_LIMIT} bytes")
        if not reader.eof:
            raise Unreadable("the gzip data is cut short")
        data = reader.unused_data.lstrip(b"\0")
    return found


def _unpacked(data: bytes, limit: int) -> bytes:
    return unzipped(data, limit) if data.startswith(b"\x1f\x8b") else data


def _is_mime(data: bytes) -> bool:
    head = data[:4096].lstrip().lower()
    return head.startswith((b"content-type: multipart", b"mime-version:")) or b"\ncontent-type: multipart" in head


def _mime_parts(message: Message) -> Iterator[Part]:
    left = SIZE_LIMIT
    number = 0
    for part in message.walk():
        if part.is_multipart():
            continue
        number += 1
        payload = part.get_payload(decode=True)
        content = _unpacked(payload, left) if isinstance(payload, bytes) else b""
        left = max(0, left - len(content))
        yield _part(content, part.get_content_type(), _clean(part.get_filename() or "") or f"part-{number:03}")


def _clean(name: str) -> str:
    """A file name as cloud-init makes one of a part's."""
    cleaned = "".join(one for one in name.replace("/", "_") if one in NAME_CHARACTERS)
    return "" if cleaned in (".", "..") else cleaned[:200]


def _part(content: bytes, given: str, name: str) -> Part:
    start = content.lstrip()
    found = next((kind for prefix, kind in STARTS.items() if start.startswith(prefix)), "")
    # cloud-init goes by the first line where the sender only said text/plain.
    mime_type = given if given not in ("", "text/plain", "text/x-not-multipart") else found
    known = {kind.value: kind for kind in Kind if kind is not Kind.UNKNOWN}
    kind = known.get(mime_type, Kind.UNKNOWN)
    if kind is Kind.SCRIPT:
        content = _with_unix_line_ends(content)
    return Part(kind, content, mime_type or given or "text/x-not-multipart", name)


def _with_unix_line_ends(script: bytes) -> bytes:
    """As cloud-init does it: the end of the first line decides."""
    first = script.partition(b"\n")[0]
    return script.replace(b"\r\n", b"\n") if script.startswith(b"#!") and first.endswith(b"\r") else script
