"""Ids of EC2's resources: new ones, and those that follow from names so that they are the same on every machine."""

from __future__ import annotations

import hashlib
import re
import secrets

from sagehound.localcloud.errors import AwsError

_ID = re.compile(r"[a-z]+(?:-[a-z]+)?-(?:[0-9a-f]{8}|[0-9a-f]{17})")


def new(prefix: str) -> str:
    """An id that nothing else has: `i-0` and 16 hexadecimal digits."""
    return f"{prefix}-0{secrets.token_hex(8)}"


def stable(prefix: str, *names: str) -> str:
    """The id of something that every cloud has (the default VPC of a region, an image)."""
    return f"{prefix}-0{hashlib.blake2b('/'.join((prefix, *names)).encode(), digest_size=8).hexdigest()}"


def check(prefix: str, code: str, *given: str) -> None:
    """AwsError `code` unless each id looks like one of its kind."""
    for text in given:
        if not text.startswith(f"{prefix}-") or _ID.fullmatch(text) is None:
            raise AwsError(code, f'Invalid id: "{text}" (expecting "{prefix}-...")')
