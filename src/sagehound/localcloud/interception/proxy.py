"""What the connections of a server share as a proxy: rules, certificates, ways out, what is being opened."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping
from pathlib import Path

from sagehound.localcloud.interception.authority import Authority
from sagehound.localcloud.interception.forwarding import Forwarder
from sagehound.localcloud.interception.leaves import Leaves
from sagehound.localcloud.interception.outward import Outward
from sagehound.localcloud.interception.rules import Rules

MOST_OPENING = 1024
"""Tunnels that are being opened at once: each waits for somebody, and holds memory for TLS meanwhile."""


class Proxy:
    """What all connections share. `proxies` are the server's own, as `settings.outward_proxies` finds them."""

    def __init__(
        self, authority: Authority, folder: Path, other_hosts: str, proxies: Mapping[str, str], own_url: str
    ) -> None:
        self.via = f"1.1 sagehound-{secrets.token_hex(4)}"
        self.rules = Rules(other_hosts)
        self.leaves = Leaves(authority, folder)
        self.outward = Outward(proxies, own_url, self.via)
        self.forwarder = Forwarder(self.outward)
        self._opening = 0

    def is_full(self) -> bool:
        """Whether no more tunnels can be opened now."""
        return self._opening >= MOST_OPENING

    async def counted(self, opening: Awaitable[None]) -> None:
        """Open a tunnel, as one of those that may be opening at once."""
        self._opening += 1
        try:
            await opening
        finally:
            self._opening -= 1
