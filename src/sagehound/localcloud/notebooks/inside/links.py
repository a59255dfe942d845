"""One-time links into a notebook instance: signed by whoever has the instance's key, good for minutes, used once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from pathlib import Path

LINK_SECONDS = 300
"""How long a link can be used for the first time, as on AWS."""


def issue(key: bytes, now: float, session_seconds: int) -> str:
    """A token for one session of `session_seconds`."""
    content = {"id": secrets.token_hex(16), "until": now + LINK_SECONDS, "session": session_seconds}
    body = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
    return f"{body}.{_sign(key, body)}"


def redeem(key: bytes, used: Path, now: float, token: str) -> int | None:
    """The seconds of the session that this token opens; None when it is none of ours, too old, or used already."""
    body, _, signature = token.partition(".")
    if not token.isascii() or not hmac.compare_digest(signature, _sign(key, body)):
        return None
    content = json.loads(base64.urlsafe_b64decode(body))
    if now >= content["until"]:
        return None
    used.mkdir(mode=0o700, exist_ok=True)
    _forget_expired(used)
    try:
        os.close(os.open(used / content["id"], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return None
    return int(content["session"])


def _forget_expired(used: Path) -> None:
    """Whose time is up cannot be used again, whether we remember it or not."""
    for entry in used.iterdir():
        if entry.stat().st_mtime < time.time() - 2 * LINK_SECONDS:
            entry.unlink(missing_ok=True)


def _sign(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
