"""What becomes of a request to the proxy: answered here, passed on to another host, or refused in a sentence."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from sagehound.localcloud.interception.hosts import Authority, is_served

HTTP, HTTPS = 80, 443
_INSTANCE_METADATA = ipaddress.ip_address("fd00:ec2::254")
"""Link-local in all but its number."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Decision:
    """The fate of one request, with the status and the sentence of a refusal."""

    fate: Literal["served", "passed", "refused"]
    status: int = 200
    sentence: str = ""


_SERVED, _PASSED = Decision("served"), Decision("passed")


class Rules:
    """The rules of one server."""

    def __init__(self, other_hosts: str) -> None:
        self._passes = other_hosts == "pass"

    def decide(self, asked: Authority, peer: str | None) -> Decision:
        """About `CONNECT asked`, or a request for `http://asked/...`; `peer` is the client's address."""
        if is_served(asked.host):
            if asked.port in (HTTP, HTTPS):
                return _SERVED
            return _refused(f"{asked.host} is answered by this cloud itself, and only on ports 80 and 443")
        if not is_local(peer):
            return _refused(
                f"{asked.host} is not AWS's, and other hosts are passed on for clients on this machine only"
            )
        if not self._passes:
            return _refused(f"{asked.host} is not AWS's, and this cloud was started with --other-hosts refuse")
        if is_this_machine(asked.host):
            return unreachable_by_proxy(asked.host)
        return _PASSED


def unreachable_by_proxy(host: str) -> Decision:
    """The refusal of what a client reaches without a proxy, or not at all."""
    return _refused(
        f"{host} is this machine or a link-local address: clients go there directly (NO_PROXY), not through here"
    )


def is_local(peer: str | None) -> bool:
    """Whether a client is on this machine. One without an address has gone already: it may have been anybody."""
    try:
        return peer is not None and _plain(ipaddress.ip_address(peer)).is_loopback
    except ValueError:
        return False


def is_this_machine(host: str) -> bool:
    """Whether a name or address means the machine that asks; names that only resolve to one are found out later."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_number(host)
    return is_forbidden(address)


def is_forbidden(address: Address) -> bool:
    """Loopback, link-local (an instance's metadata), nobody's and everybody's addresses.

    Programs of jobs and functions may be kept from these by networks of their own; the proxy is no way around that.
    """
    plain = _plain(address)
    return (
        plain.is_loopback
        or plain.is_link_local
        or plain.is_unspecified
        or plain.is_multicast
        or plain == ipaddress.ip_address("255.255.255.255")
        or plain == _INSTANCE_METADATA
    )


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where that is what it means."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_number(host: str) -> bool:
    """127.1, 0x7f000001 and the like: resolvers read them as addresses, nobody names a host so."""
    last = host.rpartition(".")[2]
    return last.isdecimal() or last.startswith("0x")


def _refused(sentence: str, status: int = 403) -> Decision:
    return Decision("refused", status, sentence)
