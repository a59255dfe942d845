"""The body of a streaming request: decoded as it arrives, proven at its end."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import payload
from sagehound.localcloud.wire.chunked import ChunkedDecoder
from sagehound.localcloud.wire.payload import PayloadCheck

_MOST_DIGITS = 18
"""Of a length; more is no length of anything, and Python refuses to read 5,000 digits."""


class RequestBody:
    """An iterator over the content of a request; only one that ended without an error is what the caller signed.

    At the end the signed SHA-256 (XAmzContentSHA256Mismatch), the chunk signatures (SignatureDoesNotMatch) and the
    length (IncompleteBody) have been checked. May be iterated once.
    """

    def __init__(self, http: HttpRequest, check: PayloadCheck) -> None:
        self._http = http
        self._check = check
        self._decoder = ChunkedDecoder(check) if check.chunked else None
        name = "x-amz-decoded-content-length" if check.chunked else "content-length"
        declared = http.headers.get(name)
        if declared is not None and not (declared.isdecimal() and len(declared) <= _MOST_DIGITS):
            raise AwsError("InvalidArgument", f"{name} is not a number", members={"ArgumentName": name})
        self._content_length = int(declared) if declared is not None else None
        if check.chunked and self._content_length is None:
            raise AwsError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)
        self._started = False

    @property
    def content_length(self) -> int | None:
        """Bytes of the content once decoded, or None when the request does not say."""
        return self._content_length

    @property
    def trailers(self) -> dict[str, str]:
        """The headers that came after the content (`x-amz-checksum-crc32`); complete when the body has been read."""
        return self._decoder.trailers if self._decoder else {}

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._started:
            raise RuntimeError("a request body can be read once")
        self._started = True
        return self._decoded() if self._decoder else self._plain()

    async def read(self, limit: int) -> bytes:
        """The whole content; EntityTooLarge (413) when it has more than `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        if self._content_length is not None and self._content_length > limit:
            raise _too_large(limit)
        async for piece in self:
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            parts.append(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _plain(self) -> AsyncIterator[bytes]:
        digest = hashlib.sha256() if self._check.sha256 or self._check.at_end else None
        size = 0
        async for piece in self._http.receive():
            size += len(piece)
            if digest is not None:
                digest.update(piece)
            yield piece
        self._check_length(size)
        if digest is None:
            return
        computed = digest.hexdigest()
        if self._check.sha256 and computed != self._check.sha256:
            raise payload.mismatch(self._check.sha256, computed)
        if self._check.at_end:
            self._check.at_end(computed)

    async def _decoded(self) -> AsyncIterator[bytes]:
        decoder = self._decoder
        assert decoder is not None
        size = 0
        async for raw in self._http.receive():
            for piece in decoder.feed(raw):
                size += len(piece)
                yield piece
        if not decoder.done:
            raise _incomplete()
        self._check_length(size)

    def _check_length(self, size: int) -> None:
        if self._content_length is not None and size != self._content_length:
            raise _incomplete()


def _incomplete() -> AwsError:
    message = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return AwsError("IncompleteBody", message)


def _too_large(limit: int) -> AwsError:
    return AwsError("RequestEntityTooLarge", f"The request body exceeds {limit} bytes.", 413)
