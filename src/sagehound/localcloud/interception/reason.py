"""The reason phrase of an answer: what Python's urllib, wget and curl tell of a request that was refused"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sagehound.localcloud.interception.hosts import WEIGHTS_HOSTS

REASON = "reason-phrase"
"""The header by which an application says it: ASGI has no place for it in the status line."""
_MARK = f"\r\n{REASON}: ".encode()
_INTERIM = b"HTTP/1.1 100 "
_LENGTH = 400
_HOSTS = frozenset(host.encode() for host in WEIGHTS_HOSTS)


def tells_reasons(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request's answer may have a reason of its own: those for hosts of weights do."""
    return any(name == b"host" and value.split(b":", 1)[0].lower() in _HOSTS for name, value in headers)


class ReasonedTransport:
    """A connection for the answer to one request: its status line says what the header `reason-phrase` does."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._said = False

    def write(self, data: bytes) -> None:
        """Pass bytes on; the head, the first that is written but for an interim answer, with its reason."""
        if not self._said and not data.startswith(_INTERIM):
            self._said = True
            if _MARK in data.partition(b"\r\n\r\n")[0]:
                data = _phrased(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _phrased(head: bytes) -> bytes:
    status_line, rest = head.split(b"\r\n", 1)
    sentence = head.split(_MARK, 1)[1].split(b"\r\n", 1)[0]
    plain = sentence.decode(errors="replace").encode("ascii", "replace")[:_LENGTH]
    return b" ".join([*status_line.split(b" ", 2)[:2], plain]) + b"\r\n" + rest
