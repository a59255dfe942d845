"""multipart/form-data as browsers post it to a bucket: small fields first, then one file that streams."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from email.message import Message

from sagehound.localcloud.errors import AwsError

_MAX_FIELDS = 20 * 1024
_FILE = "file"


class FormReader:
    """Reads the fields up to the file, then gives the file's bytes as they arrive."""

    def __init__(self, chunks: AsyncIterable[bytes], content_type: str) -> None:
        header = Message()
        header["Content-Type"] = content_type
        boundary = header.get_boundary()
        if not boundary:
            raise _malformed("The body of your POST request is not well-formed multipart/form-data.")
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        self._chunks = aiter(chunks)
        self._buffer = b"\r\n"
        self.fields: dict[str, str] = {}
        """By lower-case name."""
        self.file_name = ""
        self.file_type: str | None = None

    async def read_fields(self) -> None:
        """Read up to the file's first byte; InvalidArgument when there is no file."""
        size = len(await self._until(self._delimiter))
        while True:
            if await self._take(2) == b"--":
                raise AwsError("InvalidArgument", "POST requires exactly one file upload per request.", 400)
            head = await self._until(b"\r\n\r\n")
            headers = _headers(head)
            name = headers.get("name", "")
            if name.lower() == _FILE:
                self.file_name = re.split(r"[/\\]", headers.get("filename", ""))[-1]
                self.file_type = headers.get("content-type")
                return
            value = await self._until(self._delimiter)
            size += len(head) + len(value)
            if size > _MAX_FIELDS:
                message = "Your POST request fields preceding the upload file were too large."
                raise AwsError("MaxPostPreDataLengthExceeded", message, 400)
            self.fields[name.lower()] = value.decode("utf-8", "replace")

    async def file(self) -> AsyncIterator[bytes]:
        """The bytes of the file; what follows it is read and ignored."""
        keep = len(self._delimiter) - 1
        while True:
            found = self._buffer.find(self._delimiter)
            if found >= 0:
                if found:
                    yield self._buffer[:found]
                async for _ in self._chunks:
                    continue
                return
            if len(self._buffer) > keep:
                piece, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
                yield piece
            await self._more()

    async def _until(self, marker: bytes) -> bytes:
        while (found := self._buffer.find(marker)) < 0:
            if len(self._buffer) > 2 * _MAX_FIELDS:
                message = "Your POST request fields preceding the upload file were too large."
                raise AwsError("MaxPostPreDataLengthExceeded", message, 400)
            await self._more()
        taken = self._buffer[:found]
        self._buffer = self._buffer[found + len(marker) :]
        return taken

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def _more(self) -> None:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            raise _malformed("The body of your POST request is not well-formed multipart/form-data.")
        self._buffer += chunk


def _headers(head: bytes) -> dict[str, str]:
    """`name` and `filename` of the Content-Disposition, and the content type."""
    found: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            for key, quoted, bare in re.findall(r';\s*(name|filename)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', value):
                found[key] = quoted.replace('\\"', '"').replace("%22", '"') or bare
        elif name.strip().lower() == "content-type":
            found["content-type"] = value.strip()
    return found


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPOSTRequest", message, 400)
