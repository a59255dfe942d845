"""Receiving and sending bodies: digests made while bytes arrive, big blocks handled off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sqlite3
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sagehound.localcloud.call import FileRange
from sagehound.localcloud.services.s3 import checksums
from sagehound.localcloud.services.s3.errors import entity_too_large, out_of_space
from sagehound.localcloud.state.objects import ContentFiles

logger = logging.getLogger(__name__)
T = TypeVar("T")
SMALL = 256 << 10
"""Up to this many bytes are digested and written on the loop: faster than a thread would be told of them."""
_BLOCK = 1 << 20
MAX_PUT = 5 << 30


@dataclass(frozen=True, slots=True)
class Received:
    """A body that is on disk: what to name in a row."""

    content: list[tuple[str, int]]
    size: int
    md5: bytes
    checksums: dict[str, str]
    """By algorithm, in base64."""

    @property
    def etag(self) -> str:
        """The ETag of an object or part that arrived in one piece."""
        return self.md5.hex()


class Digests:
    """The MD5 and further checksums of the bytes that pass by."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksums = {algorithm: checksums.start(algorithm) for algorithm in algorithms}
        self.size = 0

    def update(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._md5.update(data)
        for digest in self._checksums.values():
            digest.update(data)
        self.size += len(data)

    def received(self, content: str | None) -> Received:
        """The result, for bytes that are in the file `content` (None: there were none)."""
        files = [] if content is None else [(content, self.size)]
        made = {name: checksums.encode(digest.digest()) for name, digest in self._checksums.items()}
        return Received(files, self.size, self._md5.digest(), made)


class Contents:
    """Bodies in and out of content files."""

    def __init__(self, files: ContentFiles) -> None:
        self.files = files
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="s3-content")
        self._preparing: asyncio.Future[None] | None = None

    async def receive(self, body: AsyncIterable[bytes], algorithms: Iterable[str], *, limit: int = MAX_PUT) -> Received:
        """Store a body to its end. Nothing is left behind when it breaks off, is too large or the disk is full."""
        chunks = aiter(body)
        first, is_all = await _first_block(chunks)
        if self.files.needs_preparation and (self._preparing is None or self._preparing.done()):
            self._preparing = asyncio.get_running_loop().run_in_executor(self._threads, self._prepare)
        if is_all and len(first) <= SMALL:
            with disk_full_answered():
                return self.store(first, algorithms)
        digests = Digests(algorithms)
        with disk_full_answered():
            content, descriptor = self.files.create()
            try:
                await self._write(descriptor, first, _blocks(chunks), digests, limit)
            except BaseException:
                self.files.discard([content])
                raise
            finally:
                os.close(descriptor)
        return digests.received(content)

    def store(self, data: bytes, algorithms: Iterable[str]) -> Received:
        """Store bytes that are at hand."""
        digests = Digests(algorithms)
        digests.update(data)
        return digests.received(self.files.write(data) if data else None)

    async def digest(self, pieces: list[FileRange], algorithms: Iterable[str]) -> Received:
        """The digests of what is stored already; the answer names no content."""
        digests = Digests(algorithms)

        def read() -> None:
            for block in _file_blocks(pieces):
                digests.update(block)

        await self.run(read)
        return digests.received(None)

    async def copy(self, pieces: list[FileRange], algorithms: Iterable[str]) -> Received:
        """Store the concatenation of pieces of content files as a new one."""

        async def body() -> AsyncIterator[bytes]:
            blocks = _file_blocks(pieces)
            while block := await self.run(lambda: next(blocks, b"")):
                yield block

        return await self.receive(body(), algorithms)

    def take(self, source: Path, algorithms: Iterable[str], *, keep: bool) -> Received:
        """Make a file that is on disk a content file, and digest it. Blocking."""
        digests = Digests(algorithms)
        with disk_full_answered():
            content = self.files.take(source, keep=keep)
            try:
                path = Path(self.files.path(content))
                for block in _file_blocks([FileRange(path, 0, path.stat().st_size)]):
                    digests.update(block)
            except BaseException:
                self.files.discard([content])
                raise
        return digests.received(content)

    async def send(self, pieces: list[FileRange], names: list[str]) -> AsyncIterator[bytes]:
        """The bytes of pieces that lie in more than one file; they stay readable until the last one is sent."""
        self.files.pin(names)
        try:
            blocks = _file_blocks(pieces)
            while block := await self.run(lambda: next(blocks, b"")):
                yield block
        finally:
            self.files.unpin(names)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread of ours."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Wait for the threads to end, and remove what is not needed any more."""
        self._threads.shutdown()
        self.files.close()

    def _prepare(self) -> None:
        try:
            self.files.prepare()
        except OSError as error:
            if out_of_space(error) is None:
                logger.exception("content files cannot be made")

    async def _write(
        self, descriptor: int, first: bytes, blocks: AsyncIterator[bytes], digests: Digests, limit: int
    ) -> None:
        """Digest and write each block on a thread while the next one arrives."""

        def handle(block: bytes) -> None:
            digests.update(block)
            self.files.append(descriptor, block)

        loop = asyncio.get_running_loop()
        size = len(first)
        pending = loop.run_in_executor(self._threads, handle, first)
        try:
            async for block in blocks:
                size += len(block)
                if size > limit:
                    raise entity_too_large(size, limit)
                await pending
                pending = loop.run_in_executor(self._threads, handle, block)
        finally:
            await asyncio.shield(pending)


@contextmanager
def disk_full_answered() -> Iterator[None]:
    """Turn a full disk, met by a content file or by the store, into its answer."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        answer = out_of_space(error)
        if answer is None:
            raise
        raise answer from error


def pieces_of(files: ContentFiles, content: list[tuple[str, int]], offset: int, length: int) -> list[FileRange]:
    """Where `length` bytes from `offset` of an object lie."""
    pieces = []
    for name, size in content:
        if length <= 0:
            break
        if offset < size:
            taken = min(length, size - offset)
            pieces.append(FileRange(Path(files.path(name)), offset, taken))
            length -= taken
            offset = 0
        else:
            offset -= size
    return pieces


async def _first_block(chunks: AsyncIterable[bytes]) -> tuple[bytes, bool]:
    """The first bytes, up to about 1 MiB, and whether they are all: no generator, since most objects are small."""
    buffer: list[bytes] = []
    size = 0
    async for chunk in chunks:
        buffer.append(chunk)
        size += len(chunk)
        if size >= _BLOCK:
            return b"".join(buffer), False
    return buffer[0] if len(buffer) == 1 else b"".join(buffer), True


async def _blocks(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks of about 1 MiB."""
    buffer: list[bytes] = []
    size = 0
    async for chunk in chunks:
        buffer.append(chunk)
        size += len(chunk)
        if size >= _BLOCK:
            yield b"".join(buffer)
            buffer.clear()
            size = 0
    if buffer:
        yield b"".join(buffer)


def _file_blocks(pieces: list[FileRange]) -> Iterator[bytes]:
    for piece in pieces:
        with open(piece.path, "rb", buffering=0) as file:
            file.seek(piece.offset)
            left = piece.length
            while left > 0:
                block = file.read(min(left, _BLOCK))
                if not block:
                    raise OSError(f"{piece.path} is shorter than its row says")
                left -= len(block)
                yield block
