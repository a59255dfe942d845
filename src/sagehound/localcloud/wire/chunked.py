"""The aws-chunked encoding taken off a body, its chunk signatures verified on the way.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire.payload import EMPTY_SHA256, ChunkSigning, PayloadCheck

_MAX_LINE = 16 * 1024
_MAX_TRAILERS = 64
_SIZE = re.compile(r"[0-9A-Fa-f]{1,15}")
"""Not all that int() takes: a negative size would be read for ever."""
_HEADER, _DATA, _DATA_END, _TRAILER, _DONE = range(5)


class ChunkedDecoder:
    """Fed the raw body piece by piece, yields the content; data of one chunk is passed on before the chunk is whole.

    A chunk's signature is verified at its end, so only what is read to the end is proven.
    """

    def __init__(self, check: PayloadCheck) -> None:
        self.trailers: dict[str, str] = {}
        self._signing = check.signing
        self._expects_trailers = check.trailers
        self._previous = check.signing.seed_signature if check.signing else ""
        self._state = _HEADER
        self._pending = b""
        self._left = 0
        self._signature = ""
        self._digest = hashlib.sha256()
        self._trailer_lines: list[str] = []

    @property
    def done(self) -> bool:
        """Whether the last chunk and the trailers have been read."""
        return self._state == _DONE

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The content in `piece`; AwsError for bad framing or a wrong chunk signature."""
        data = self._pending + piece if self._pending else piece
        view = memoryview(data)
        at, end = 0, len(data)
        self._pending = b""
        while at < end:
            if self._state == _DATA:
                taken = min(self._left, end - at)
                content = data if taken == end and at == 0 else bytes(view[at : at + taken])
                if self._signing:
                    self._digest.update(content)
                at += taken
                self._left -= taken
                if not self._left:
                    self._state = _DATA_END
                yield content
                continue
            if self._state == _DONE:
                raise _framing("there are bytes after the last chunk")
            stop = data.find(b"\r\n", at)
            if stop < 0:
                if end - at > _MAX_LINE:
                    raise _framing("a chunk header is too long")
                self._pending = data[at:]
                return
            line = data[at:stop]
            at = stop + 2
            self._line(line)

    def _line(self, line: bytes) -> None:
        if self._state == _DATA_END:
            if line:
                raise _framing("a chunk is longer than its header says")
            self._close_chunk()
            self._state = _HEADER
        elif self._state == _HEADER:
            self._open_chunk(line)
        else:
            self._trailer(line)

    def _open_chunk(self, line: bytes) -> None:
        size, _, extension = line.decode("latin-1").partition(";")
        if not _SIZE.fullmatch(size):
            raise _framing(f"{size!r} is no chunk size")
        self._left = int(size, 16)
        self._signature = extension.strip().removeprefix("chunk-signature=")
        if self._left:
            self._state = _DATA
            return
        self._close_chunk()
        self._state = _TRAILER

    def _close_chunk(self) -> None:
        if self._signing is None:
            return
        text = "\n".join(
            (
                "AWS4-HMAC-SHA256-PAYLOAD",
                self._signing.timestamp,
                self._signing.scope,
                self._previous,
                EMPTY_SHA256,
                self._digest.hexdigest(),
            )
        )
        self._previous = _matching(self._signing, text, self._signature)
        self._digest = hashlib.sha256()

    def _trailer(self, line: bytes) -> None:
        if not line:
            if self._signing is not None and self._expects_trailers:
                raise _framing("the trailers are not signed")
            self._state = _DONE
            return
        name, colon, value = line.decode("latin-1").partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            raise _framing(f"{name!r} is no trailer")
        if name == "x-amz-trailer-signature":
            self._close_trailers(value)
            return
        if self._signing is not None and not self._expects_trailers:
            raise _framing(f"the trailer {name!r} is not signed")
        if len(self._trailer_lines) == _MAX_TRAILERS:
            raise _framing("there are too many trailers")
        self.trailers[name] = value
        self._trailer_lines.append(f"{name}:{value}\n")

    def _close_trailers(self, signature: str) -> None:
        if self._signing is not None:
            digest = hashlib.sha256("".join(self._trailer_lines).encode()).hexdigest()
            text = "\n".join(
                (
                    "AWS4-HMAC-SHA256-TRAILER",
                    self._signing.timestamp,
                    self._signing.scope,
                    self._previous,
                    digest,
                )
            )
            _matching(self._signing, text, signature)
        self._expects_trailers = False


def _matching(signing: ChunkSigning, text: str, signature: str) -> str:
    expected = hmac.new(signing.key, text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            403,
        )
    return expected


def _framing(reason: str) -> AwsError:
    return AwsError("InvalidChunkSizeError", f"The aws-chunked body is not well-formed: {reason}.")
