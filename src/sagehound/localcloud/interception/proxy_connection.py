"""A connection on the cloud's port: requests to the cloud itself, and, as to a proxy, to any host by its name."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from typing import Any, cast

import httptools

from sagehound.localcloud.connection import BoundedConnection
from sagehound.localcloud.interception.forwarding import App, refusal
from sagehound.localcloud.interception.hosts import Authority, parse_authority
from sagehound.localcloud.interception.outward import Unreachable, told
from sagehound.localcloud.interception.proxy import Proxy
from sagehound.localcloud.interception.rules import HTTP, HTTPS, Decision, is_this_machine
from sagehound.localcloud.interception.tunnel import Tunnel

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 30.0
SHUTDOWN_SECONDS = 60.0
"""For what was sent last to be taken away, and for the client to agree that it was all."""
_FAREWELL_SECONDS = 0.25
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_PORTS = {b"http": HTTP, b"https": HTTPS}
_DISTRUST = frozenset(
    {
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_ACCESS_DENIED",
    }
)
_COMES_BACK = Decision("refused", 508, "this request has been here before")


class ProxyConnection(BoundedConnection):
    """`tunnel` is the host to which a client has opened the tunnel that this connection is inside of."""

    def __init__(self, *arguments: Any, proxy: Proxy, tunnel: Authority | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._made_from = arguments, options
        self._proxy = proxy
        self._tunnel = tunnel
        self._connecting: str | None = None
        self._piece = b""
        self._opening: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self._piece = data
        super().data_received(data)
        self._piece = b""

    def on_headers_complete(self) -> None:
        """CONNECT is no request to the application; a URL with a host may be meant for somebody else."""
        if self.parser.get_method() == b"CONNECT":
            self.end_head()
            self._connecting = self.url.decode("latin-1")
            return
        if self._tunnel is not None and not any(name == b"host" for name, _ in self.headers):
            self.headers.append((b"host", self._tunnel.host.encode()))
        usual = self.app
        if not self.url.startswith(b"/") and self.url != b"*":
            self.app = self._app_for_absolute()
        try:
            super().on_headers_complete()
        finally:
            self.app = usual

    def on_message_complete(self) -> None:
        if self._connecting is None:
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """The parser stops behind the head of CONNECT, as it does for every protocol that is not HTTP."""
        if self._connecting is None:
            super()._unsupported_upgrade_warning()
            return
        stopped = sys.exception()
        assert isinstance(stopped, httptools.HttpParserUpgrade)
        self._open(self._connecting, self._piece[stopped.args[0] :])

    def shutdown(self) -> None:
        """The server stops: a tunnel that is being opened has nothing to finish."""
        if self._opening is not None:
            self._opening.cancel()
            self.transport.abort()
            return
        super().shutdown()
        if self.scheme == "https" and self.transport.is_closing():
            # TLS waits for the client to agree that it is over; one that is idle may not look for long.
            self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._opening is not None:
            self._opening.cancel()
        super().connection_lost(exc)

    # Requests that name a host in their first line.

    def _app_for_absolute(self) -> App:
        """Who answers `GET http://host/path`; the URL and Host become those of a request to that host."""
        scheme, _, rest = self.url.partition(b"://")
        cut = min((found for found in (rest.find(mark) for mark in b"/?#") if found >= 0), default=len(rest))
        scheme, named = scheme.lower(), rest[:cut].decode("latin-1")
        path = rest[cut:].partition(b"#")[0]
        self.url = path if path.startswith(b"/") else b"/" + path
        asked = parse_authority(named, _PORTS.get(scheme)) if scheme in _PORTS else None
        if asked is None:
            return refusal(400, "the first line names no host that this proxy can ask")
        self._set_host(named, scheme)
        if self._tunnel is not None:
            return self._app_inside(scheme, asked)
        if scheme == b"https":
            return refusal(400, f"https://{named} is asked for through CONNECT")
        if self._is_own(asked):
            return cast(App, self.app)
        decision = self._proxy.rules.decide(asked, self._peer())
        if decision.fate == "served":
            return cast(App, self.app)
        if decision.fate == "refused":
            return refusal(decision.status, decision.sentence)
        if self._comes_back():
            return refusal(_COMES_BACK.status, _COMES_BACK.sentence)
        return self._proxy.forwarder.to(asked)

    def _app_inside(self, scheme: bytes, asked: Authority) -> App:
        """In a tunnel the client has said already whom it asks."""
        assert self._tunnel is not None
        if asked.host != self._tunnel.host or scheme != (self.scheme or "").encode():
            return refusal(421, f"{asked.host} is not asked for in a tunnel to {self._tunnel.host}")
        return cast(App, self.app)

    def _set_host(self, named: str, scheme: bytes) -> None:
        """The host of the first line counts (RFC 9112, 3.2.2). Another spelling of it stays: it may be signed."""
        given = [value for name, value in self.headers if name == b"host"]
        port = _PORTS[scheme]
        if len(given) == 1 and parse_authority(given[0].decode("latin-1"), port) == parse_authority(named, port):
            return
        self.headers[:] = [(name, value) for name, value in self.headers if name != b"host"]
        self.headers.append((b"host", named.encode("latin-1")))

    def _is_own(self, asked: Authority) -> bool:
        """Whether a client without NO_PROXY asks the proxy for the proxy."""
        host, port = self.server if self.server is not None else ("", None)
        return asked.port == port and (asked.host == host or is_this_machine(asked.host))

    def _comes_back(self) -> bool:
        marks = [value for name, value in self.headers if name == b"via"]
        return any(self._proxy.via.encode() in value for value in marks)

    def _peer(self) -> str | None:
        return self.client[0] if self.client is not None else None

    # CONNECT.

    def _open(self, named: str, early: bytes) -> None:
        asked = parse_authority(named)
        if asked is None:
            self._refuse(Decision("refused", 400, "CONNECT names a host and a port, as in CONNECT example.com:443"))
        elif self._tunnel is not None:
            self._refuse(Decision("refused", 405, f"this is a tunnel to {self._tunnel.host} already"))
        elif early or (self.cycle is not None and not self.cycle.response_complete):
            self._refuse(Decision("refused", 400, "CONNECT comes alone: before its answer nothing follows it"))
        elif self._comes_back():
            self._refuse(_COMES_BACK)
        elif self._proxy.is_full():
            self._refuse(Decision("refused", 503, "too many tunnels are open"))
        else:
            decision = self._proxy.rules.decide(asked, self._peer())
            if decision.fate == "refused":
                self._refuse(decision)
                return
            # The client speaks again when it is answered; until then its bytes are nobody's.
            self.transport.pause_reading()
            work = self._serve(asked) if decision.fate == "served" else self._pass(asked)
            self._opening = self.loop.create_task(self._proxy.counted(work))

    def _refuse(self, decision: Decision) -> None:
        body = f"sagehound: {decision.sentence}.\n".encode(errors="replace")
        head = f"HTTP/1.1 {decision.status} {_phrase(decision.status)}\r\nconnection: close\r\n"
        head += f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    async def _serve(self, asked: Authority) -> None:
        """The tunnel ends here: what is inside it is another connection to this cloud."""
        transport: Any = self.transport
        try:
            context = self._proxy.leaves.context(asked.host) if asked.port == HTTPS else None
        except OSError as reason:  # a full disk
            logger.warning("no certificate can be made for %s: %s", asked.host, reason)
            self._opening = None
            self._refuse(Decision("refused", 500, f"no certificate can be made for {asked.host}: {told(reason)}"))
            return
        transport.write(_ESTABLISHED)
        waiting = _Waiting()
        if context is not None:
            try:
                transport = await self.loop.start_tls(
                    self.transport,
                    waiting,
                    context,
                    server_side=True,
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                )
            except (OSError, RuntimeError) as reason:  # asyncio's own loop raises the latter where the client has gone
                self._tell_failure(asked, reason)
                self.transport.abort()
                return
            finally:
                self._opening = None
                self._retire()
        else:
            self._opening = None
            self._retire()
        arguments, options = self._made_from
        inner = ProxyConnection(*arguments, proxy=self._proxy, tunnel=asked, **options)
        waiting.hand_over(transport, inner)

    async def _pass(self, asked: Authority) -> None:
        """The tunnel goes on to the host itself."""
        tunnel = Tunnel(self.transport, self.connections.discard)
        try:
            await self._proxy.outward.connect(asked, lambda: tunnel.far)
        except Unreachable as reason:
            self._refuse(Decision("refused", reason.status, reason.sentence))
            tunnel.shutdown()
            return
        except BaseException:
            tunnel.shutdown()
            raise
        finally:
            self._opening = None
        self._retire()
        self.connections.add(tunnel)  # type: ignore[arg-type]
        self.transport.write(_ESTABLISHED)
        tunnel.begin()

    def _retire(self) -> None:
        """The bytes of this connection are not its own any more."""
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        self.end_head()
        self.parser = None  # type: ignore[assignment]  # it holds this object

    def _tell_failure(self, asked: Authority, reason: Exception) -> None:
        if isinstance(reason, ssl.SSLError) and reason.reason in _DISTRUST:
            bundle = "the bundle of CAs in authority/ of the data directory"
            logger.info(
                "a client (%s) does not trust the certificate of %s: %s; %s is what it should trust, unless "
                "the bucket has dots in its name",
                self._peer(),
                asked.host,
                reason.reason,
                bundle,
            )


class _Waiting(asyncio.Protocol):
    """Stands for the inner connection until TLS is agreed on, and keeps what comes with the agreement's last bytes."""

    def __init__(self) -> None:
        self._early: list[bytes] = []
        self._ended = self._lost = False
        self._next: asyncio.Protocol | None = None

    def hand_over(self, transport: asyncio.Transport, protocol: ProxyConnection) -> None:
        """The other protocol takes the connection, and what has come of it."""
        if self._lost:
            return
        self._next = protocol
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if protocol.client is None:
            return  # nobody's, and ended by that
        transport.resume_reading()
        if self._early:
            protocol.data_received(b"".join(self._early))
        if self._ended:
            protocol.eof_received()

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    def eof_received(self) -> None:
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._next is not None:
            self._next.connection_lost(exc)


def _phrase(status: int) -> str:
    return {400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed", 502: "Bad Gateway"}.get(status, "Refused")
