"""moto's server in a process of its own, and a record of every call that reaches it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.place import LOCAL_CLOUD

REGION = "us-east-1"
ABSENCE = frozenset(
    (
        *("404", "NoSuchKey", "NoSuchBucket", "NoSuchTagSet", "NoSuchEntity", "ResourceNotFoundException"),
        *("ResourceNotFound", "ObjectNotFoundException", "NoSuchBucketPolicy"),
        *("NoSuchPublicAccessBlockConfiguration", "ServerSideEncryptionConfigurationNotFoundError"),
        *("ProvisionedConcurrencyConfigNotFoundException", "ResourceAlreadyExistsException"),
    )
)
"""Codes that answer a question with "there is none" (or "there is one"), and refuse nothing."""


class MotoServer:
    """`moto_server` on a free loopback port."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self.last_lines: deque[str] = deque(maxlen=50)
        for line in self._process.stdout:
            self.last_lines.append(line)
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                self.url = found[1]
                break
        else:
            raise RuntimeError("moto_server did not start:\n" + "".join(self.last_lines))
        # It writes a line a request: read, or the pipe would fill and stop it.
        threading.Thread(target=self.last_lines.extend, args=(self._process.stdout,), daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=30)


@dataclass(frozen=True)
class Made:
    """One call, and how it was answered."""

    service: str
    operation: str
    status: int
    code: str
    message: str

    @property
    def refused(self) -> bool:
        """Whether the server did not take it."""
        says_none = any(words in self.message for words in ("ould not find", "RecordNotFound", "does not exist"))
        absent = self.code in ABSENCE or (self.code == "ValidationException" and says_none)
        # An operation that moto lacks is answered by its web framework, with a page and no code of AWS's.
        return self.status >= 400 and (not absent or "<!doctype html>" in self.message)


@dataclass
class Account:
    """A project's clients of the server, and all calls that were made with them."""

    url: str
    calls: list[Made] = field(default_factory=list)

    def clients(self) -> Clients:
        """Clients as the pipeline has them."""
        session = boto3.Session(aws_access_key_id="moto", aws_secret_access_key="moto", region_name=REGION)
        session.events.register("after-call", self._record)
        return Clients(session, REGION, endpoint_url=self.url, place=LOCAL_CLOUD)

    def _record(self, http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        error = parsed.get("Error", {})
        self.calls.append(
            Made(
                model.service_model.service_name,
                model.name,
                http_response.status_code,
                str(error.get("Code", "")),
                str(error.get("Message", "")),
            )
        )

    def refused(self) -> set[str]:
        """`service:Operation` of the calls that the server did not take."""
        return {f"{call.service}:{call.operation}" for call in self.calls if call.refused}

    def accepted(self) -> set[str]:
        """Those that it took."""
        return {f"{call.service}:{call.operation}" for call in self.calls} - self.refused()
