"""The way out to hosts that are not AWS's: by the server's own proxy where it has one, never back into this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from sagehound.localcloud.interception.hosts import Authority
from sagehound.localcloud.interception.rules import is_forbidden, is_local, unreachable_by_proxy
from sagehound.localcloud.interception.upstream_head import ask_upstream

CONNECT_SECONDS = 30.0
"""For each address of a host, and for the answer of the server's own proxy."""


class Unreachable(Exception):
    """Why a host cannot be reached, as the client is told, with the status of the answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Outward:
    """Opens connections to others. `proxies` are the server's own, as `settings.outward_proxies` finds them."""

    def __init__(self, proxies: Mapping[str, str], own_url: str, via: str) -> None:
        self.via = via
        self._proxies = dict(proxies)
        self._own_port = urlsplit(own_url).port

    def upstream(self, scheme: str, asked: Authority) -> SplitResult | None:
        """The server's own proxy for a host; None where there is none, or it is this very server."""
        url = self._proxies.get(scheme) or self._proxies.get("all")
        if not url or urllib.request.proxy_bypass_environment(f"{asked.host}:{asked.port}", self._proxies):  # type: ignore[attr-defined]
            return None
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port, host = parts.port, parts.hostname or ""
        except ValueError as reason:
            raise Unreachable(502, f"the address of the server's own proxy is wrong: {reason}") from reason
        if port == self._own_port and (host == "localhost" or is_local(host)):
            return None
        if parts.scheme not in ("http", "https") or not host:
            raise Unreachable(502, f"the server's own proxy {parts.scheme}://... is of a kind that it cannot use")
        return parts

    async def addresses(self, asked: Authority) -> list[str]:
        """The addresses of a host. Unreachable when it has none, or is a name for this machine."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(asked.host, asked.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as reason:
            raise Unreachable(502, f"{asked.host} is not known: {str(reason) or type(reason).__name__}") from reason
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [one for one in addresses if not is_forbidden(ipaddress.ip_address(one))]
        if not allowed:
            refusal = unreachable_by_proxy(asked.host)
            raise Unreachable(refusal.status, refusal.sentence)
        return allowed

    async def connect(self, asked: Authority, end: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """A connection to a host, its protocol made by `end`. Unreachable."""
        upstream = self.upstream("https", asked)
        if upstream is not None:
            return await self._connect_by(upstream, asked, end)
        failures = []
        for address in await self.addresses(asked):
            try:
                return await _open(address, asked.port, end)
            except OSError as reason:
                failures.append(f"{address}: {told(reason)}")
        raise Unreachable(502, f"{asked.host}:{asked.port} cannot be reached ({'; '.join(failures)})")

    async def _connect_by(
        self, upstream: SplitResult, asked: Authority, end: Callable[[], asyncio.Protocol]
    ) -> asyncio.Transport:
        """Through the server's own proxy, which resolves the name itself."""
        name = f"the server's own proxy {upstream.hostname}"
        credentials = None
        if upstream.username is not None:
            credentials = f"{unquote(upstream.username)}:{unquote(upstream.password or '')}"
        port = upstream.port or (443 if upstream.scheme == "https" else 80)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                transport, answered = await ask_upstream(
                    str(upstream.hostname),
                    port,
                    asked,
                    secure=upstream.scheme == "https",
                    credentials=credentials,
                    via=self.via,
                    end=end,
                )
        except (OSError, ValueError) as reason:
            raise Unreachable(502, f"{name} cannot be used: {told(reason)}") from reason
        if transport is None:
            raise Unreachable(502, f"{name} does not connect to {asked.host}:{asked.port}: it answers {answered}")
        return transport


def told(reason: Exception) -> str:
    """What went wrong, in the words of the system where it is the system's: loops add their own."""
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    number = None if isinstance(reason, ssl.SSLError) else getattr(reason, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(reason) or type(reason).__name__


async def _open(address: str, port: int, end: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        transport: Any
        transport, _ = await loop.create_connection(end, address, port)
    return transport  # type: ignore[no-any-return]
