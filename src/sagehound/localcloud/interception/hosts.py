"""Whose a host is: AWS's, which never leaves this machine, or somebody else's."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import NamedTuple

import botocore.loaders

BESIDE_THE_PARTITIONS = ("on.aws", "sagemaker.aws")
"""AWS's suffixes that no partition lists: function URLs, notebook instances."""
WEIGHTS_HOSTS = ("download.pytorch.org",)
"""Hosts of others that a front of ours answers (weights.py)."""
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_BUCKET = re.compile(r".+?\.(s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com(?:\.cn)?)")


class Authority(NamedTuple):
    """A host and its port, as `CONNECT` names them."""

    host: str
    """In small letters, without a dot at its end; an IPv6 address without brackets."""
    port: int


@functools.cache
def aws_suffixes() -> tuple[str, ...]:
    """The domains below which AWS's endpoints are, in every partition: amazonaws.com, api.aws, amazonaws.com.cn, ..."""
    partitions = botocore.loaders.create_loader().load_data("partitions")["partitions"]
    found = [partition["outputs"][name] for partition in partitions for name in ("dnsSuffix", "dualStackDnsSuffix")]
    return tuple(dict.fromkeys((*found, *BESIDE_THE_PARTITIONS)))


def is_aws(host: str) -> bool:
    """Whether a host is an endpoint of AWS."""
    return any(host == suffix or host.endswith("." + suffix) for suffix in aws_suffixes())


def is_served(host: str) -> bool:
    """Whether the cloud answers for a host itself, with a certificate of its own."""
    return is_aws(host) or host in WEIGHTS_HOSTS


def certified_names(host: str) -> list[str]:
    """The names in the certificate of a host: itself; for a bucket the endpoint and one label below it, as on AWS.

    So a bucket with dots in its name fails over https here as it does there.
    """
    found = _BUCKET.fullmatch(host)
    return [found[1], f"*.{found[1]}"] if found else [host]


def parse_authority(text: str, default_port: int | None = None) -> Authority | None:
    """`HOST:PORT`; None for what is no host or no port, and where somebody's name or password stands before it."""
    host, colon, port_text = text.rpartition(":")
    if not colon or port_text.endswith("]"):
        host, port_text = text, ""
    if port_text.isascii() and port_text.isdecimal() and len(port_text) <= 5:
        port = int(port_text)
    elif port_text == "" and default_port is not None:
        port = default_port
    else:
        return None
    name = _host(host)
    return Authority(name, port) if name is not None and 0 < port < 65536 else None


def _host(text: str) -> str | None:
    if text.startswith("[") and text.endswith("]"):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            return None
    name = text.lower().removesuffix(".")
    return name if _NAME.fullmatch(name) else None
