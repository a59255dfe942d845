"""Certificates for the hosts that clients ask for, made when they are asked for and kept, a bounded number of them."""

from __future__ import annotations

import ssl
import tempfile
from collections import OrderedDict
from pathlib import Path

from sagehound.localcloud.interception.authority import Authority
from sagehound.localcloud.interception.hosts import certified_names

MOST = 256
"""Contexts that are kept; each is some 50 KB."""


class Leaves:
    """TLS contexts by host: the one that the tunnel names, whatever name TLS has inside. A client that asks for another
    there sees a certificate that is not the one it wants."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        self._authority = authority
        self._folder = folder
        self._contexts: OrderedDict[tuple[str, ...], ssl.SSLContext] = OrderedDict()

    def context(self, host: str) -> ssl.SSLContext:
        """The server side of TLS for a host. HTTP/1.1 is all that is spoken."""
        names = tuple(certified_names(host))
        context = self._contexts.get(names)
        if context is None:
            context = self._contexts[names] = self._make(names)
            if len(self._contexts) > MOST:
                self._contexts.popitem(last=False)
        else:
            self._contexts.move_to_end(names)
        return context

    def _make(self, names: tuple[str, ...]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # Clients hardly ever come back with a ticket, and each costs a record after every handshake.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        key, certificate = self._authority.certify(names)
        # ssl reads keys from files only; this one has no name for longer than that takes.
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".new") as file:
            file.write(key + certificate)
            file.flush()
            context.load_cert_chain(file.name)
        return context
