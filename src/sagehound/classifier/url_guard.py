"""Fetching a URL that a stranger names, without being sent to places that only this machine can reach.

Refused: schemes other than http and https, addresses that are not public (private, loopback, link-local, reserved,
multicast; IPv4 inside IPv6 too), before connecting and after each redirect. The connection goes to the very address
that was checked, so a name that resolves differently the second time gains nothing. Hosts can be allowed by name.
Not covered: what a public server makes of the request. Imports nothing beyond Python.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

SECONDS = 10.0
"""For everything together: resolution, connections, redirects, the body."""
MAX_BYTES = 10 * 1024 * 1024
MAX_REDIRECTS = 5
_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedUrl(ValueError):
    """A URL that is not fetched, or whose answer is not taken; the text says why and what would do."""


@dataclass(frozen=True)
class _Target:
    url: str
    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]
    """Where to connect, in the resolver's order: these were checked."""


class _Deadline:
    """What is left of the time that the caller allowed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.missed()
        return left

    def passed(self) -> bool:
        return time.monotonic() >= self._end

    def missed(self) -> RefusedUrl:
        return RefusedUrl(f"the URL did not answer within {self._seconds:g} s: send the picture itself")


def fetch(
    url: str,
    *,
    allowed_hosts: Collection[str] = (),
    seconds: float = SECONDS,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """The body that a URL answers with status 200.

    `allowed_hosts` (host or host:port) may have any address. Raises RefusedUrl.
    """
    deadline = _Deadline(seconds)
    for _ in range(MAX_REDIRECTS + 1):
        target = _check(url, allowed_hosts, deadline)
        redirect, body = _get(target, deadline, max_bytes)
        if redirect is None:
            return body
        url = urljoin(target.url, redirect)
    raise RefusedUrl(f"the URL redirects more than {MAX_REDIRECTS} times")


def is_public(address: Address) -> bool:
    """Whether an address is reachable from, and belongs to, the public Internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour is not None and not is_public(address.sixtofour):
            return False
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local or address.teredo is not None:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _check(url: str, allowed_hosts: Collection[str], deadline: _Deadline) -> _Target:
    """Take a URL apart, resolve its host and check every address. Raises RefusedUrl."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise RefusedUrl(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in _PORTS:
        raise RefusedUrl(f"only http and https URLs are fetched, not {parts.scheme or 'one without a scheme'!r}")
    if not parts.hostname:
        raise RefusedUrl(f"{url!r} names no host")
    if parts.username is not None or parts.password is not None:
        raise RefusedUrl("a URL with a user name or password is not fetched")
    try:
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise RefusedUrl(f"{parts.hostname!r} is not a host name: {error}") from error
    addresses = _resolve(host, port, deadline)
    allowed = {entry.strip().lower() for entry in allowed_hosts}
    by_name = host in allowed or f"{host}:{port}" in allowed
    if not by_name and not all(is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
        # The address itself is not told: a stranger could map the network behind this server with it.
        raise RefusedUrl(
            f"{host} is not at a public address: put the picture on a public server, send it in the body, "
            "or have the host allowed in SAGEHOUND_ALLOWED_URL_HOSTS"
        )
    return _Target(url, parts.scheme, host, port, _path(parts), tuple(addresses))


def _path(parts: SplitResult) -> str:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if any(ord(c) <= 32 or ord(c) == 127 for c in path):
        raise RefusedUrl("the URL has blanks or control characters: percent-encode them")
    return "".join(c if ord(c) < 128 else "".join(f"%{byte:02X}" for byte in c.encode()) for c in path)


def _resolve(host: str, port: int, deadline: _Deadline) -> list[str]:
    """The addresses of a host. The resolver takes no time limit, so it runs in a thread that may be left behind."""
    answer: list[str] = []
    failure: list[Exception] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.extend(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as error:
            failure.append(error)

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if thread.is_alive():
        raise deadline.missed()
    if failure or not answer:
        raise RefusedUrl(f"the host {host} cannot be found") from (failure[0] if failure else None)
    return answer


def _get(target: _Target, deadline: _Deadline, max_bytes: int) -> tuple[str | None, bytes]:
    """(redirect, b"") or (None, body) of one request to the checked address."""
    plain = _connect(target, deadline)
    try:
        with plain, _cut_off(plain, deadline):
            return _exchange(target, plain, deadline, max_bytes)
    except RefusedUrl:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        if deadline.passed():
            raise deadline.missed() from error
        cause = str(error) or type(error).__name__
        raise RefusedUrl(f"{target.host} does not answer as a web server does: {cause}") from error


def _connect(target: _Target, deadline: _Deadline) -> socket.socket:
    """A connection to the first checked address that takes one."""
    failure: OSError | None = None
    for address in target.addresses:
        try:
            return socket.create_connection((address, target.port), timeout=deadline.left())
        except OSError as error:
            failure = error
    if deadline.passed():
        raise deadline.missed() from failure
    raise RefusedUrl(f"{target.host} does not answer: {failure}") from failure


@contextmanager
def _cut_off(connection: socket.socket, deadline: _Deadline) -> Iterator[None]:
    """End the connection at the deadline.

    A server that sends a byte now and then never runs into a socket's own time limit.
    """
    # A duplicate: TLS takes the first socket object over, but both share the connection.
    with connection.dup() as twin:

        def cut() -> None:
            # It may have ended by itself just now.
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(deadline.left(), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _exchange(target: _Target, plain: socket.socket, deadline: _Deadline, max_bytes: int) -> tuple[str | None, bytes]:
    """Ask for the path and read the answer; the connection is closed at the end."""
    if target.scheme == "https":
        with ssl.create_default_context().wrap_socket(plain, server_hostname=target.host) as encrypted:
            return _ask(target, encrypted, deadline, max_bytes)
    return _ask(target, plain, deadline, max_bytes)


def _ask(target: _Target, connected: socket.socket, deadline: _Deadline, max_bytes: int) -> tuple[str | None, bytes]:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = connected
    name = f"[{target.host}]" if ":" in target.host else target.host
    host = name if target.port == _PORTS[target.scheme] else f"{name}:{target.port}"
    headers = {"Host": host, "Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "sagehound"}
    connection.request("GET", target.path, headers=headers)
    with connection.getresponse() as response:
        location = response.headers.get("Location")
        if response.status in (301, 302, 303, 307, 308) and location:
            return location, b""
        if response.status != 200:
            raise RefusedUrl(f"{target.host} answers with status {response.status} instead of a picture")
        too_large = RefusedUrl(f"the URL's answer is larger than {max_bytes:,} bytes: send a smaller picture")
        if (response.length or 0) > max_bytes:
            raise too_large
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            deadline.left()
            if len(body) > max_bytes:
                raise too_large
        if deadline.passed() or (response.length or 0) > 0:
            raise deadline.missed() if deadline.passed() else RefusedUrl(f"{target.host} broke off in the middle")
        return None, bytes(body)
