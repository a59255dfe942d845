"""Captured invocations on their way to S3: lines in files of this machine, which survive the server, then objects."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sagehound.localcloud.services.sagemaker.endpoint_capture import Event, Rules

Put = Callable[[dict[str, str], Path], str | None]
"""Makes a file of lines the object that its facts name (Bucket, Key), as their ExecutionRoleArn; why it cannot."""
FILE_SECONDS = 60.0
"""A file is delivered so long after its first invocation, by the cloud's clock..."""
FILE_BYTES = 8 << 20
"""...or when it has become so long."""
_ABOUT = "about.json"
_LINES = "events.jsonl"


@dataclass(slots=True)
class _File:
    """A folder of its own, with the lines and with where they go and as whom."""

    folder: Path
    began: float
    size: int = 0

    @property
    def lines(self) -> Path:
        return self.folder / _LINES


class CaptureFiles:
    """The files of one variant. Blocking: used in one thread at a time."""

    def __init__(self, rules: Rules, folder: Path, put: Put) -> None:
        self._rules = rules
        self._folder = folder
        self._put = put
        self._file: _File | None = None

    @property
    def open(self) -> bool:
        """Whether there are lines that are not in S3 yet."""
        return self._file is not None

    def is_due(self, now: float) -> bool:
        """Whether the lines have waited long enough."""
        return self._file is not None and now >= self._file.began + FILE_SECONDS

    def write(self, events: list[Event]) -> Iterator[str]:
        """Add the events, and deliver what is full on the way or of an hour that has passed; what went wrong."""
        for _, group in groupby(events, key=lambda event: int(event.time // 3600)):
            yield from self._write(list(group))

    def deliver(self) -> Iterator[str]:
        """Put what was written into S3; what went wrong, in which case it is lost."""
        file, self._file = self._file, None
        if file is not None:
            yield from deliver(file.folder, self._put)

    def _write(self, events: list[Event]) -> Iterator[str]:
        """Events of one hour: each hour has a folder of its own in S3."""
        if self._file is not None and self._file.began // 3600 != events[0].time // 3600:
            yield from self.deliver()
        waiting = iter(events)
        while (event := next(waiting, None)) is not None:
            file = self._file = self._file or self._begin(event.time)
            with file.lines.open("ab") as output:
                while event is not None:
                    file.size += output.write(self._rules.line(event))
                    event = next(waiting, None) if file.size < FILE_BYTES else None
            if file.size >= FILE_BYTES:
                yield from self.deliver()

    def _begin(self, moment: float) -> _File:
        name, rules = str(uuid.uuid4()), self._rules
        about = {
            "Region": rules.region,
            "EndpointName": rules.endpoint,
            "VariantName": rules.variant,
            "ExecutionRoleArn": rules.role_arn,
            "Bucket": rules.bucket,
            "Key": rules.key(moment, name),
        }
        folder = self._folder / name
        folder.mkdir(parents=True)
        (folder / _ABOUT).write_text(json.dumps(about))
        return _File(folder, moment)


def left_behind(folder: Path) -> Iterable[Path]:
    """The files that a server which was killed had not delivered."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def about(folder: Path) -> dict[str, str]:
    """Where the lines of a folder go, and of which variant they are; empty for one that was only begun."""
    try:
        found: dict[str, str] = json.loads((folder / _ABOUT).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def deliver(folder: Path, put: Put) -> Iterator[str]:
    """Make the lines of a folder an object; why they are lost, if they are."""
    told, lines = about(folder), folder / _LINES
    count = _whole_lines(lines) if told else 0
    failed = put(told, lines) if count else None
    if failed is not None:
        place = f"s3://{told['Bucket']}/{told['Key']}"
        yield f"Data capture: {count} invocation(s) could not be written to {place} ({failed})"
    shutil.rmtree(folder, ignore_errors=True)


def _whole_lines(path: Path) -> int:
    """How many lines there are, after the half line has been cut off that a killed server may have left."""
    if not path.exists():
        return 0
    count = whole = 0
    with path.open("r+b") as file:
        for line in file:
            if line.endswith(b"\n"):
                count, whole = count + 1, whole + len(line)
        file.truncate(whole)
    return count
