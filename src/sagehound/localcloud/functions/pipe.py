"""The pipe through which an environment writes: what comes goes to its log, and at an answer all that lies in it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios

from sagehound.localcloud.functions.log import EnvironmentLog

READ_SIZE = 64 * 1024


class OutputPipe:
    """Opened for one process, which gets the other end."""

    def __init__(self, log: EnvironmentLog) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._descriptor = -1

    def open(self) -> int:
        """The end to write to, which is the caller's to close."""
        self._descriptor, written = os.pipe()
        os.set_blocking(self._descriptor, False)
        return written

    def follow(self) -> None:
        """Log what comes, as it comes."""
        self._loop.add_reader(self._descriptor, self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self._log.write(data)
        else:
            self._loop.remove_reader(self._descriptor)

    def drain(self) -> None:
        """Log what lies in it now: what was written before this call, and nothing that is written after it."""
        left = int(struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0\0\0\0"))[0])
        while left > 0:
            data = os.read(self._descriptor, min(left, READ_SIZE))
            if not data:
                return
            left -= len(data)
            self._log.write(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
