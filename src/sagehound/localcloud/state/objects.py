"""Content files: the immutable bytes of objects, one file each, named by an id that is never used twice."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Container, Iterable
from pathlib import Path

from sagehound.localcloud.call import FileRange

_FOLDERS = 256
_COPY_BLOCK = 8 << 20
_PREPARED = 64
_RESERVE = 4 << 20
_NO_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP)


class ContentFiles:
    """A folder of content files that a table elsewhere refers to.

    A file is written whole before the row that names it is committed, and the row is what makes it exist: a file
    without a row is a leftover of a death in between, and `sweep` removes it. Ids start with the number of the run
    that made them, so a sweep can go on beside new writes: it looks at earlier runs only. Files are read-only, so hard
    links to them may be handed out. A removed file stays readable for `grace` seconds, and while it is pinned, for
    answers that are under way.
    """

    def __init__(self, root: Path, run: int, *, grace: float = 3.0) -> None:
        self.root = root
        self.run = run
        self._grace = grace
        self._lock = threading.Lock()
        self._next = 0
        self._pins: dict[str, int] = {}
        self._removed: list[tuple[float, str]] = []
        self._reserve = root.with_suffix(".reserve")
        self._has_reserve = False
        self._prepared: deque[tuple[str, int]] = deque()
        self._folders = [str(root / f"{number:02x}") for number in range(_FOLDERS)]
        for folder in self._folders:
            os.makedirs(folder, exist_ok=True)

    def path(self, content: str) -> str:
        """Where the bytes of `content` are."""
        return f"{self._folders[int(content.rpartition('-')[2], 16) % _FOLDERS]}/{content}"

    def create(self) -> tuple[str, int]:
        """A new content file and its descriptor, open for writing; close it, and `discard` it when it failed."""
        try:
            return self._prepared.popleft()
        except IndexError:
            return self._create()

    @property
    def needs_preparation(self) -> bool:
        """Whether `prepare` should be called, from a thread: some file systems take long to make a file."""
        return len(self._prepared) < _PREPARED // 2

    def prepare(self) -> None:
        """Make empty files ahead of need: ext4 takes up to a millisecond a file for minutes after many deletions."""
        while len(self._prepared) < _PREPARED:
            self._prepared.append(self._create())

    def close(self) -> None:
        """Remove the files that were prepared and not needed, and what is removed already."""
        while self._prepared:
            content, descriptor = self._prepared.popleft()
            os.close(descriptor)
            self.discard([content])
        self.collect(early=True)

    def _create(self) -> tuple[str, int]:
        content = self._new_id()
        return content, os.open(self.path(content), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)

    def write(self, data: bytes) -> str:
        """A new content file that holds `data`; nothing is left behind when the disk is full."""
        content, descriptor = self.create()
        try:
            self.append(descriptor, data)
        except BaseException:
            self.discard([content])
            raise
        finally:
            os.close(descriptor)
        return content

    def append(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`; when the disk is full, what was removed goes before its grace is over."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self.collect(early=True):
                    raise

    def link(self, content: str) -> str:
        """Another content file with the same bytes: a hard link, or a copy where links are exhausted."""
        made = self._new_id()
        self.link_to([content], Path(self.path(made)))
        return made

    def take(self, source: Path, *, keep: bool = False) -> str:
        """Turn `source` into a content file: moved, or copied when it is to be kept or on another file system."""
        content = self._new_id()
        if not keep:
            try:
                os.rename(source, self.path(content))
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                os.chmod(self.path(content), 0o444)
                return content
        try:
            _concatenate([str(source)], self.path(content))
        except BaseException:
            self.discard([content])
            raise
        if not keep:
            source.unlink()
        return content

    def link_to(self, contents: Iterable[str], destination: Path) -> None:
        """Make `destination` a file with the bytes of `contents` in order: a hard link where one file has them all."""
        paths = [self.path(content) for content in contents]
        if len(paths) == 1:
            try:
                os.link(paths[0], destination)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
            else:
                return
        try:
            _concatenate(paths, str(destination))
        except BaseException:
            destination.unlink(missing_ok=True)
            raise

    def read(self, piece: FileRange) -> bytes:
        """The bytes of one piece of a file."""
        with open(piece.path, "rb") as file:
            file.seek(piece.offset)
            return file.read(piece.length)

    def discard(self, contents: Iterable[str]) -> None:
        """Remove files at once: no row ever named them."""
        for content in contents:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(content))

    def pin(self, contents: Iterable[str]) -> None:
        """Keep files readable until `unpin`, whatever `remove` is told."""
        with self._lock:
            for content in contents:
                self._pins[content] = self._pins.get(content, 0) + 1

    def unpin(self, contents: Iterable[str]) -> None:
        """Take back one `pin` of each file."""
        with self._lock:
            for content in contents:
                self._pins[content] -= 1
                if not self._pins[content]:
                    del self._pins[content]

    def remove(self, contents: Iterable[str]) -> None:
        """Let files go whose rows are gone; `collect` unlinks them after the grace."""
        due = time.monotonic() + self._grace
        with self._lock:
            self._removed.extend((due, content) for content in contents)

    def collect(self, *, early: bool = False) -> int:
        """Unlink what was removed longer than the grace ago (`early`: just now) and is not pinned; how many went."""
        now = time.monotonic()
        with self._lock:
            gone = [name for due, name in self._removed if (early or due <= now) and name not in self._pins]
            leaving = set(gone)
            self._removed = [entry for entry in self._removed if entry[1] not in leaving]
        self.discard(gone)
        return len(gone)

    def reserve(self) -> None:
        """Keep some of the disk for the day when it is full: even deleting writes a little first."""
        if self._has_reserve:
            return
        descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _RESERVE)
            self._has_reserve = True
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EOPNOTSUPP):
                raise
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def release(self) -> bool:
        """Give the reserve up, and what is removed already; False when there was no reserve."""
        had, self._has_reserve = self._has_reserve, False
        self._reserve.unlink(missing_ok=True)
        self.collect(early=True)
        return had

    def sweep(self, named: Container[str]) -> int:
        """Remove the files of earlier runs that are not in `named`, the contents of all rows; how many are gone."""
        removed = 0
        for folder in self._folders:
            with os.scandir(folder) as entries:
                orphans = [e.name for e in entries if self._is_earlier(e.name) and e.name not in named]
            self.discard(orphans)
            removed += len(orphans)
        return removed

    def _new_id(self) -> str:
        with self._lock:
            self._next += 1
            return f"{self.run:x}-{self._next:x}"

    def _is_earlier(self, content: str) -> bool:
        return int(content.partition("-")[0], 16) < self.run


def _concatenate(sources: list[str], destination: str) -> None:
    """Copy files into one new file, inside the kernel where it can."""
    with open(destination, "xb") as target:
        for source in sources:
            with open(source, "rb") as file:
                try:
                    while os.copy_file_range(file.fileno(), target.fileno(), _COPY_BLOCK):
                        pass
                except OSError as error:
                    if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                        raise
                    shutil.copyfileobj(file, target, _COPY_BLOCK)
                    target.flush()
    os.chmod(destination, 0o444)
