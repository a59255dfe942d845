"""Remembered verdicts on pictures, so that a second run decodes nothing again (SQLite in the cache folder).

A verdict counts for a path while size and modification time are what they were. Only readable pictures are
remembered: the few unreadable ones are looked at again, since they are what gets repaired.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import PIL

from sagehound.errors import DataRefused

# A file changed within the clock's grain of the reading could change again under the same time stamp.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class Verdict:
    """What reading one file gave: its size, time and hashes, and what is wrong with it ("": nothing)."""

    size: int
    mtime_ns: int
    sha256: str
    md5: str
    pixels: int
    problem: str

    @classmethod
    def unreadable(cls, size: int, problem: str) -> Verdict:
        """A file that was not even read."""
        return cls(size=size, mtime_ns=0, sha256="", md5="", pixels=0, problem=problem)


class DecodeCache:
    """Verdicts by path; used by one thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Another release of Pillow may judge differently, so each has verdicts of its own.
        path = folder / f"decoded-pillow-{PIL.__version__}.sqlite"
        try:
            self._open(path)
        except sqlite3.OperationalError as error:
            raise DataRefused(
                f"the cache {path} cannot be used: {error}", "Set SAGEHOUND_CACHE_DIR to a folder that can be written."
            ) from error
        except sqlite3.DatabaseError:
            path.unlink()  # a damaged cache is worth nothing: every verdict can be found out again
            self._open(path)

    def _open(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=30)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS verdict (path TEXT PRIMARY KEY, size INTEGER NOT NULL,"
            " mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, md5 TEXT NOT NULL,"
            " pixels INTEGER NOT NULL) WITHOUT ROWID"
        )

    def get(self, path: Path) -> Verdict | None:
        """The verdict on the file as it lies there now, or None."""
        row = self._database.execute(
            "SELECT size, mtime_ns, sha256, md5, pixels FROM verdict WHERE path = ?", (_name(path),)
        ).fetchone()
        if row is None:
            return None
        try:
            now = path.stat()
        except OSError:
            return None
        if (now.st_size, now.st_mtime_ns) != (row[0], row[1]):
            return None
        return Verdict(size=row[0], mtime_ns=row[1], sha256=row[2], md5=row[3], pixels=row[4], problem="")

    def put(self, path: Path, verdict: Verdict) -> None:
        """Remember a readable picture."""
        if verdict.problem or time.time_ns() - verdict.mtime_ns < _SETTLED_NS:
            return
        self._database.execute(
            "INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?, ?, ?)",
            (_name(path), verdict.size, verdict.mtime_ns, verdict.sha256, verdict.md5, verdict.pixels),
        )

    def commit(self) -> None:
        """Keep what was put."""
        self._database.commit()

    def close(self) -> None:
        """Commit and let go of the file."""
        self._database.commit()
        self._database.close()


def _name(path: Path) -> str:
    return str(path.absolute()).encode("utf-8", "backslashreplace").decode()
