"""The parent's side of the process that reads files (gpu_jpeg): asks for batches, gets them as memory."""

import mmap
import os
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier import gpu_jpeg


class ReaderLost(RuntimeError):
    """The process that reads files has ended."""


@dataclass(frozen=True)
class Files:
    """A batch of files in memory; of those for the CPU there is only their place."""

    memory: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    """[files, 5]: offset and length in the memory, width, height, number of the sampling in gpu_jpeg.SAMPLINGS."""

    def __len__(self) -> int:
        return len(self.numbers)


class Reader:
    """A process that reads files; for one thread, which may ask for some batches before it takes the first."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # Isolated and without site-packages it starts in some 20 ms.
            command = [sys.executable, "-I", "-S", str(Path(gpu_jpeg.__file__)), str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._socket = ours

    def ask(self, paths: Sequence[Path]) -> None:
        """Have a batch read. Raises ReaderLost."""
        try:
            self._socket.sendall(pickle.dumps([os.fspath(path) for path in paths]))
        except OSError as error:
            raise ReaderLost(f"the process that reads files has ended: {error}") from error

    def take(self) -> Files:
        """The oldest batch that was asked for. Raises ReaderLost."""
        try:
            head, handles, _, _ = socket.recv_fds(self._socket, 8, 1)
            if len(head) != 8 or len(handles) != 1:
                raise ReaderLost("the process that reads files has ended")
            with os.fdopen(handles[0], "rb") as file:
                memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            (length,) = struct.unpack("<Q", head)
            answer = bytearray(length)
            view = memoryview(answer)
            while len(view):
                got = self._socket.recv_into(view)
                if not got:
                    raise ReaderLost("the process that reads files has ended in the middle of an answer")
                view = view[got:]
        except OSError as error:
            raise ReaderLost(f"the process that reads files has ended: {error}") from error
        numbers = np.frombuffer(answer, dtype=np.int64).reshape(-1, gpu_jpeg.FIELDS)
        return Files(np.frombuffer(memory, dtype=np.uint8), numbers)

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait()
