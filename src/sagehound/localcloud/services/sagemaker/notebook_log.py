"""What a notebook instance prints, on its way to CloudWatch Logs: a stream for each script, one for JupyterLab."""

from __future__ import annotations

from collections import deque

from sagehound.localcloud.notebooks.inside.instance import JUPYTER_LOG
from sagehound.localcloud.services.sagemaker.notebook_home import ON_CREATE, ON_START
from sagehound.localcloud.services.sagemaker.notebook_status import Record
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import RoleLog

GROUP = "/aws/sagemaker/NotebookInstances"
_STREAMS = (ON_CREATE, ON_START, JUPYTER_LOG)
_LAST_LINES = 12
_LAST_CHARACTERS = 700
_MAX_MESSAGE = 256_000


class NotebookLog:
    """The streams NAME/LifecycleConfigOnCreate, NAME/LifecycleConfigOnStart and NAME/jupyter.log."""

    def __init__(self, record: Record, region: str, providers: Providers) -> None:
        self._name = record["NotebookInstanceName"]
        role = providers.acting_as(record["RoleArn"], region)
        self._log = RoleLog(role, providers.logs, GROUP, f"notebook instance {self._name}")
        self._clock = providers.clock
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)

    def say(self, line: str) -> None:
        """A line of the cloud's own."""
        self.append([(self._clock.time(), f"{JUPYTER_LOG}\t{line}")])

    def append(self, batch: list[tuple[float, str]]) -> None:
        """Lines with their times, each with its stream in front; what has none is the machine's own."""
        streams: dict[str, list[tuple[int, str]]] = {}
        for moment, line in batch:
            stream, _, text = line.partition("\t")
            if stream not in _STREAMS:
                stream, text = JUPYTER_LOG, line
            self._lines.append(text)
            if text.strip():
                streams.setdefault(stream, []).append((int(moment * 1000), text[:_MAX_MESSAGE]))
        for stream, events in streams.items():
            self._log.append(f"{self._name}/{stream}", events)

    def last_words(self) -> str:
        """The end of what was printed."""
        return "\n".join(self._lines).strip()[-_LAST_CHARACTERS:]
