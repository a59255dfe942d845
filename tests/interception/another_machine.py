"""Servers in the place of other machines: they answer on an address of this one that is not loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from tests.interception.support import SECONDS, read_all, read_head

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def answering(address: str, talk: Talk) -> Iterator[int]:
    """A server whose every connection is a call of `talk`, in a thread of its own; its port."""
    listener = socket.create_server((address, 0))
    stopped = threading.Event()

    def accept() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_talk, args=(talk, connection), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(SECONDS)


def _talk(talk: Talk, connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):  # who has asked may go away at any time
        connection.settimeout(SECONDS)
        talk(connection)


def echo(connection: socket.socket) -> None:
    """Says back all that was said, once the other side has ended."""
    connection.sendall(read_all(connection))


def repeating(answer: bytes, asked: list[bytes]) -> Talk:
    """Answers every request with the same bytes and remembers its head, and its body by its length."""

    def talk(connection: socket.socket) -> None:
        head = read_head(connection)
        length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = b""
        while length and len(body) < int(length[0]) and (piece := connection.recv(65536)):
            body += piece
        asked.append(head + body)
        connection.sendall(answer)

    return talk


def upstream(asked: list[bytes], status: bytes = b"200 OK") -> Talk:
    """A proxy of its own: it notes what it is asked, and plays every host itself by saying back what it is told."""

    def talk(connection: socket.socket) -> None:
        asked.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if status.startswith(b"200"):
            echo(connection)

    return talk
