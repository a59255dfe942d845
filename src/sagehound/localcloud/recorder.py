"""The record of every call: one JSON line each, like CloudTrail's, in a file that is turned over when it is large."""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024 * 1024
"""At this size calls.jsonl becomes calls.1.jsonl, and the one before that is gone."""


class Recorder:
    """Appends to `calls.jsonl`; a line is handed to the kernel before the next call is answered.

    Jobs' accesses are recorded from threads of their own. On a full disk calls are answered without a record, which is
    said once in the server's log.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._failing = False
        self._lock = threading.Lock()
        self._descriptor = self._open()

    def write(self, **fields: Any) -> None:
        """Append one record; fields that are None are left out."""
        line = json.dumps({key: value for key, value in fields.items() if value is not None}, separators=(",", ":"))
        with self._lock:
            self._write(line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, line: bytes) -> None:
        try:
            self._append(line)
        except OSError as reason:
            if not self._failing:
                logger.error("calls are not recorded in %s: %s", self.path, reason.strerror)
            self._failing = True
            return
        self._failing = False
        if self._size > self.max_bytes:
            self.close()
            self.path.replace(self.path.with_suffix(".1.jsonl"))
            self._descriptor = self._open()

    def _append(self, line: bytes) -> None:
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.ftruncate(self._descriptor, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(descriptor).st_size
        return descriptor
