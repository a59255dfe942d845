"""User data taken apart as cloud-init does: gzip, MIME multi-part, scripts, #cloud-config; the rest named."""

from __future__ import annotations

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


class Kind(Enum):
    """What is done with a part."""

    SCRIPT = "text/x-shellscript"
    CLOUD_CONFIG = "text/cloud-config"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: what to do with it, its bytes, its MIME type as given or as its first line says."""

    kind: Kind
    content: bytes
    mime_type: str


class Unreadable(ValueError):
    """User data that cannot be unpacked; the text says why."""


def parts(user_data: bytes) -> Iterator[Part]:
    """Every part in order. Unreadable when it is damaged."""
    unpacked = _unpacked(user_data)
    if not unpacked.strip():
        return
    if _is_mime(unpacked):
        yield from _mime_parts(message_from_bytes(unpacked))
        return
    yield _part(unpacked, "")


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        reader = zlib.decompressobj(wbits=31)
        found = reader.decompress(data, SIZE_LIMIT + 1)
    except zlib.error as error:
        raise Unreadable(f"the gzip data is damaged: {error}") from error
    if len(found) > SIZE_LIMIT:
        raise Unreadable(f"unpacked it is larger than {SIZE_LIMIT} bytes")
    if not reader.eof:
        raise Unreadable("the gzip data is cut short")
    return found


def _is_mime(data: bytes) -> bool:
    head = data[:4096].lstrip().lower()
    return head.startswith((b"content-type: multipart", b"mime-version:")) or b"\ncontent-type: multipart" in head


def _mime_parts(message: Message) -> Iterator[Part]:
    for part in message.walk():
        if part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        content = _unpacked(payload) if isinstance(payload, bytes) else b""
        yield _part(content, part.get_content_type())


def _part(content: bytes, given: str) -> Part:
    start = content.lstrip()
    found = next((kind for prefix, kind in STARTS.items() if start.startswith(prefix)), "")
    # cloud-init goes by the first line where the sender only said text/plain.
    mime_type = given if given not in ("", "text/plain", "text/x-not-multipart") else found
    known = {kind.value: kind for kind in Kind if kind is not Kind.UNKNOWN}
    return Part(known.get(mime_type, Kind.UNKNOWN), content, mime_type or given or "text/x-not-multipart")
