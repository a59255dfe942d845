"""The session tokens of IMDSv2: signed, so that they stay good when the server restarts, and end at their time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct

SHORTEST, LONGEST = 1, 21_600
"""Seconds that a token may be asked for."""
_EXPIRY = struct.Struct(">dQ")
_SIGNATURE = hashlib.sha256().digest_size


def issue(secret: bytes, now: float, ttl: int) -> str:
    """A token of this instance, good for `ttl` seconds."""
    body = _EXPIRY.pack(now + ttl, secrets.randbits(64))
    return base64.urlsafe_b64encode(body + _sign(secret, body)).decode().rstrip("=")


def is_good(secret: bytes, now: float, token: str) -> bool:
    """Whether this instance issued it and its time is not up."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return False
    body, signature = raw[: _EXPIRY.size], raw[_EXPIRY.size :]
    if len(raw) != _EXPIRY.size + _SIGNATURE or not hmac.compare_digest(signature, _sign(secret, body)):
        return False
    return bool(now < _EXPIRY.unpack(body)[0])


def ttl_of(header: str | None) -> int | None:
    """The seconds that a request for a token names; None when it names none that is allowed."""
    if header is None or not header.strip().isascii() or not header.strip().isdigit():
        return None
    seconds = int(header)
    return seconds if SHORTEST <= seconds <= LONGEST else None


def _sign(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).digest()
