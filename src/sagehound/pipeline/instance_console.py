"""The console of an instance, line by line as it grows, out of a window that shows its last 64 KB only."""

from __future__ import annotations

import re

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_user_data import BEGINS, ENDS

_ANCHOR = 200
"""Characters by which the beginning of a window that has moved on is looked for in what was seen."""
_CUT = 4
"""Characters at a window's beginning that do not count: it may begin within a character."""
# What the kernel and cloud-init put before a line: "[   23.456789] cloud-init[1623]: ".
_BEFORE = re.compile(r"^(?:\[\s*\d+\.\d+\]\s*)?(?:cloud-init\[\d+\]:\s?)?")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Console:
    """New lines of a console, each given once; those of the machine's own boot only where ``everything``."""

    def __init__(self, *, everything: bool = False) -> None:
        self._everything = everything
        self._seen = ""
        self._unfinished = ""
        self._ours = False

    def new_lines(self, window: str, *, last: bool = False) -> list[str]:
        """The lines that a window adds to those before; ``last``: an unfinished line is finished too."""
        text = self._unfinished + self._added(window.replace("\r\n", "\n"))
        *lines, self._unfinished = text.split("\n")
        if last and self._unfinished:
            lines.append(self._unfinished)
            self._unfinished = ""
        return [line for line in map(_plain, lines) if self._counts(line)]

    def _added(self, window: str) -> str:
        """What of the window was not seen yet."""
        seen, self._seen = self._seen, window or self._seen
        if window.startswith(seen):
            return window[len(seen) :]
        # The window has moved on: what it begins with is the end of what was seen.
        shown = window[_CUT:]
        at = seen.find(shown[:_ANCHOR])
        while at >= 0:
            if shown.startswith(seen[at:]):
                return shown[len(seen) - at :]
            at = seen.find(shown[:_ANCHOR], at + 1)
        # Nothing of what was seen is left in it: more was written in between than it holds.
        return window

    def _counts(self, line: str) -> bool:
        begins, ends = line.startswith(BEGINS), line.startswith(ENDS)
        counts = self._everything or self._ours or begins
        self._ours = (self._ours or begins) and not ends
        return counts and bool(line)


class ConsoleReader:
    """Asks for the console of one instance: the latest where its type has that, else what AWS keeps of it."""

    def __init__(self, clients: Clients, instance_id: str) -> None:
        self._ec2 = clients.ec2
        self._id = instance_id
        self._latest = True

    def window(self) -> str:
        """GetConsoleOutput's text; empty before there is any."""
        from botocore.exceptions import ClientError

        if self._latest:
            try:
                answer = self._ec2.get_console_output(InstanceId=self._id, Latest=True)
                return str(answer.get("Output", ""))
            except ClientError as error:
                # Only instances of the Nitro system have it; t2 is older.
                if error_of(error)[0] not in ("UnsupportedOperation", "InvalidParameterCombination"):
                    raise
                self._latest = False
        return str(self._ec2.get_console_output(InstanceId=self._id).get("Output", ""))


def _plain(line: str) -> str:
    shown = line.rsplit("\r", 1)[-1] if not line.endswith("\r") else line.rstrip("\r").rsplit("\r", 1)[-1]
    return _BEFORE.sub("", _COLOURS.sub("", shown)).rstrip()
