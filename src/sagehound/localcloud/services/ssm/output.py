"""What a command has written: in files while it runs, cut for the answer, uploaded to S3 when asked for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

STDOUT_CHARACTERS, STDERR_CHARACTERS, PLUGIN_CHARACTERS = 24_000, 8_000, 2_500
_CUT = "--output truncated--"
_BETWEEN = "\n----------ERROR-------\n"
_KEPT_BYTES = 4 * STDOUT_CHARACTERS + 4
"""As much as the answer can need of a stream: UTF-8 has at most four bytes a character."""


class Output:
    """The two streams of one invocation; what was written is there after kill -9."""

    def __init__(self, folder: Path, *, whole: bool) -> None:
        """`whole`: keep everything, for S3; otherwise as much as the answer tells."""
        self._folder = folder
        self._whole = whole
        self._open: dict[str, BinaryIO] = {}

    def begin(self) -> None:
        """Open the files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._open = {name: self.path(name).open("ab", buffering=0) for name in ("stdout", "stderr")}

    def stdout(self, data: bytes) -> None:
        """Take output as it comes."""
        self._write("stdout", data)

    def stderr(self, data: bytes) -> None:
        """Take errors as they come."""
        self._write("stderr", data)

    def say(self, sentence: str) -> None:
        """Put a line of our own at the end of the errors."""
        path = self.path("stderr")
        self._folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                file.write(b"" if file.read(1) == b"\n" else b"\n")
            file.write(sentence.encode())

    def close(self) -> None:
        """No more comes."""
        for file in self._open.values():
            file.close()
        self._open = {}

    def path(self, stream: str) -> Path:
        """The file of `stdout` or `stderr`."""
        return self._folder / stream

    def texts(self) -> dict[str, str]:
        """The members of GetCommandInvocation, cut to AWS's lengths."""
        return {
            "StandardOutputContent": self._head("stdout", STDOUT_CHARACTERS),
            "StandardErrorContent": self._head("stderr", STDERR_CHARACTERS),
        }

    def remove(self) -> None:
        """Delete the files."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._folder.parent.is_dir() and not any(self._folder.parent.iterdir()):
            self._folder.parent.rmdir()

    def _write(self, stream: str, data: bytes) -> None:
        file = self._open[stream]
        file.write(data if self._whole else data[: max(0, _KEPT_BYTES - file.tell())])

    def _head(self, stream: str, limit: int) -> str:
        path = self.path(stream)
        if not path.exists():
            return ""
        with path.open("rb") as file:
            return cut(file.read(4 * limit + 4).decode(errors="replace"), limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last of which say that there was more."""
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def of_plugin(stdout: str, stderr: str) -> str:
    """Both streams as ListCommandInvocations shows them with Details."""
    return cut(stdout + (_BETWEEN + stderr if stderr else ""), PLUGIN_CHARACTERS)
