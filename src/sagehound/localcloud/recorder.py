"""The record of every call: one JSON line each, like CloudTrail's, in a file that is turned over when it is large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

MAX_BYTES = 64 * 1024 * 1024
"""At this size calls.jsonl becomes calls.1.jsonl, and the one before that is gone."""


class Recorder:
    """Appends to `calls.jsonl`; a line is handed to the kernel before the next call is answered."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._file = self._open()

    def write(self, **fields: Any) -> None:
        """Append one record; fields that are None are left out."""
        line = json.dumps({key: value for key, value in fields.items() if value is not None}, separators=(",", ":"))
        self._file.write(line + "\n")
        self._size += len(line) + 1
        if self._size > self.max_bytes:
            self._file.close()
            self.path.replace(self.path.with_suffix(".1.jsonl"))
            self._file = self._open()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> TextIO:
        file = self.path.open("a", buffering=1)
        self._size = file.tell()
        return file
