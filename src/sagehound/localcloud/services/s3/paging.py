"""Page sizes, markers and continuation tokens: what S3 takes for one, and what it refuses."""

from __future__ import annotations

import base64
import binascii
import zlib

from sagehound.localcloud.call import Request
from sagehound.localcloud.services.s3.errors import invalid_argument

_LARGEST = 2**31 - 1
_NAMES = {
    "MaxKeys": "max-keys",
    "MaxParts": "max-parts",
    "MaxUploads": "max-uploads",
    "PartNumberMarker": "part-number-marker",
}


def page_number(request: Request, member: str, default: int) -> int:
    """A number of a paged request; InvalidArgument when it is not from 0 to 2147483647."""
    value = request.get(member)
    if value is None:
        return default
    if not 0 <= value <= _LARGEST:
        message = f"Argument {member[0].lower()}{member[1:]} must be an integer between 0 and {_LARGEST}"
        raise invalid_argument(message, _NAMES[member], value)
    return int(value)


def page_size(request: Request, member: str, limit: int) -> int:
    """A page size: `limit` when it is not given or larger."""
    return min(page_number(request, member, limit), limit)


def make_token(last: str) -> str:
    """A continuation token that goes on after a key or common prefix; its checksum tells it from all other text."""
    text = last.encode()
    return base64.urlsafe_b64encode(zlib.crc32(text).to_bytes(4, "big") + text).decode()


def open_token(token: str) -> str:
    """The key that a continuation token goes on after; InvalidArgument for what is none."""
    try:
        decoded = base64.b64decode(token, altchars=b"-_", validate=True)
        if len(decoded) <= 4 or int.from_bytes(decoded[:4], "big") != zlib.crc32(decoded[4:]):
            raise ValueError("the checksum does not fit")
        return decoded[4:].decode()
    except (binascii.Error, ValueError) as error:
        message = "The continuation token provided is incorrect"
        raise invalid_argument(message, "continuation-token") from error
