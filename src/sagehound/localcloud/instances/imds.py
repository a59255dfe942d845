"""The instance metadata service (IMDSv2, v1 where the options allow it) of one instance on a loopback port.

In a private root the instance knows the service by a name that only its own /etc/hosts has, and a request that does not
name it is refused: another instance that finds the port does not get the role's keys.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import cast

import httptools

from sagehound.localcloud.instances import tokens, tree
from sagehound.localcloud.instances.spec import InstanceSpec, Metadata, MetadataOptions

logger = logging.getLogger(__name__)
TOKEN_HEADER, TTL_HEADER = "x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"
VERSION = re.compile(r"latest|1\.0|20\d\d-\d\d-\d\d")
CREDENTIALS = "meta-data/iam/security-credentials"
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    431: "Request Header Fields Too Large", 500: "Internal Server Error",
}  # fmt: skip
HEAD_LIMIT, BODY_LIMIT = 16 * 1024, 64 * 1024
FEED = 4096
"""Bytes that the parser gets at once: as much more than a limit it may keep."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def message(self, head_only: bool) -> bytes:
        """As bytes on the wire; of an error the page that AWS sends."""
        body = self.body if self.status == 200 else _page(self.status)
        kind = "text/plain" if self.status == 200 else "text/html"
        lines = [f"HTTP/1.1 {self.status} {REASONS[self.status]}", f"Content-Type: {kind}", "Server: EC2ws"]
        lines += [f"Date: {formatdate(usegmt=True)}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if head_only else body)


def _page(status: int) -> bytes:
    text = f"{status} - {REASONS[status]}"
    return (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"\n'
        '\t"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">\n <head>\n'
        f"  <title>{text}</title>\n </head>\n <body>\n  <h1>{text}</h1>\n </body>\n</html>\n"
    ).encode()


class MetadataService:
    """Answers the requests of one instance."""

    def __init__(self, spec: InstanceSpec, metadata: Metadata, secret: bytes, host: str | None) -> None:
        self._spec = spec
        self._metadata = metadata
        self._secret = secret
        self._host = host
        self._server: asyncio.Server | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Serve on a socket that listens already; requests that came while nobody served are answered now."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=listener, start_serving=False)
        await self._server.start_serving()

    def close(self) -> None:
        """Stop answering; the listening socket is closed here."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def options(self) -> MetadataOptions:
        return self._metadata.options()

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        """What IMDS says to a request."""
        if self._host is not None and headers.get("host") != self._host:
            return Answer(403)
        options = self._metadata.options()
        if options.http_endpoint == "disabled":
            return Answer(403)
        if path == "/latest/api/token":
            return self._token(method, headers)
        if method not in ("GET", "HEAD"):
            return Answer(405, headers=(("Allow", "GET, HEAD"),))
        token = headers.get(TOKEN_HEADER)
        if token is None and options.http_tokens == "required":
            return Answer(401)
        if token is not None and not tokens.is_good(self._secret, time.time(), token):
            return Answer(401)
        return self._document(path)

    def _token(self, method: str, headers: dict[str, str]) -> Answer:
        if method != "PUT":
            return Answer(405, headers=(("Allow", "OPTIONS, PUT"),))
        if "x-forwarded-for" in headers:  # a proxy in between: what IMDSv2 is there to keep out
            return Answer(403)
        ttl = tokens.ttl_of(headers.get(TTL_HEADER))
        if ttl is None:
            return Answer(400)
        token = tokens.issue(self._secret, time.time(), ttl)
        return Answer(200, token.encode(), (("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", str(ttl)),))

    def _document(self, path: str) -> Answer:
        if path == "/":
            return Answer(200, b"1.0\nlatest")
        version, _, rest = path.removeprefix("/").partition("/")
        if not VERSION.fullmatch(version):
            return Answer(404)
        if rest.strip("/") == "user-data":
            user_data = self._spec.user_data
            return Answer(404) if user_data is None else Answer(200, user_data)
        text = tree.merged(*self._listings("")) if not rest else self._text(rest)
        return Answer(404) if text is None else Answer(200, text.encode())

    def _text(self, path: str) -> str | None:
        clean = path.strip("/")
        if clean.startswith(f"{CREDENTIALS}/"):
            return self._credentials(clean.removeprefix(f"{CREDENTIALS}/"))
        if clean.startswith("meta-data/public-keys") and self._metadata.get(clean) is None:
            return self._public_key(clean.removeprefix("meta-data/public-keys").strip("/"))
        given, ours = self._listings(clean)
        is_folder = ours is not None and (clean in ("meta-data", "meta-data/iam") or not clean)
        return tree.merged(given, ours) if is_folder else given if given is not None else ours

    def _listings(self, path: str) -> tuple[str | None, str | None]:
        """What the owner has at `path`, and what the engine has."""
        return self._metadata.get(path), tree.lookup(self._own(), path)

    def _own(self) -> tree.Tree:
        found: dict[str, tree.Tree | str] = {}
        role = self._metadata.role_name()
        if role is not None:
            found["iam"] = {"security-credentials": {role: ""}}
        if self._spec.public_keys:
            found["public-keys"] = {}
        top: dict[str, tree.Tree | str] = {"meta-data": found}
        if self._spec.user_data is not None:
            top["user-data"] = ""
        return top

    def _public_key(self, path: str) -> str | None:
        """`0=name` in the listing, `0/openssh-key` for the key itself, as only this folder of IMDS has it."""
        keys = {str(number): line for number, line in enumerate(self._spec.public_keys)}
        if not path:
            named = [f"{number}={(line.split(None, 2)[2:] or ['key'])[0]}" for number, line in keys.items()]
            return "\n".join(named) or None
        number, _, below = path.partition("/")
        return {"": "openssh-key", "openssh-key": keys[number]}.get(below) if number in keys else None

    def _credentials(self, role: str) -> str | None:
        document = self._metadata.credentials() if role == self._metadata.role_name() else None
        return None if document is None else json.dumps(document, indent=2)


class _Connection(asyncio.Protocol):
    """One connection. The parser calls the on_... methods, in the order of the bytes."""

    def __init__(self, service: MetadataService) -> None:
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._start()

    def _start(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._size = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        for begin in range(0, len(data), FEED):
            if self._transport is None or self._transport.is_closing():
                return
            part = data[begin : begin + FEED]
            self._size += len(part)
            try:
                self._parser.feed_data(part)
            except httptools.HttpParserUpgrade:
                self._transport.close()  # it has been answered; another protocol there is not
            except httptools.HttpParserError:
                self._send(Answer(400), close=True)
            if self._in_head and self._size > HEAD_LIMIT:
                self._send(Answer(431), close=True)
            elif self._size > HEAD_LIMIT + BODY_LIMIT:  # what follows a body in chunks counts as well
                self._send(Answer(400), close=True)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("latin-1")
        path = "/" + self._url.decode("latin-1").partition("?")[0].lstrip("/")  # `${ENDPOINT}/latest` may give two
        try:
            answer = self._service.answer(method, path, self._headers)
            if method == "PUT" and self._transport is not None:
                _limit_hops(self._transport, self._service.options().http_put_response_hop_limit)
        except Exception:  # the parser would take it for a mistake of the client
            logger.exception("the metadata service cannot answer %s %s", method, path)
            answer = Answer(500)
        keep = self._parser.should_keep_alive()
        self._start()
        self._send(answer, close=not keep, head_only=method == "HEAD")

    def _send(self, answer: Answer, close: bool, head_only: bool = False) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer.message(head_only))
            if close:
                self._transport.close()


def _limit_hops(transport: asyncio.Transport, hops: int) -> None:
    """The packets of a token's answer live for this many hops, as on AWS."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)


def new_listener(port: int = 0) -> socket.socket:
    """A loopback socket that listens; OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener
