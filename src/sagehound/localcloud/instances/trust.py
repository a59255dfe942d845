"""What makes the clients on an instance find the cloud at AWS's own hosts: its proxy, and the CAs that they trust."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sagehound.localcloud.instances import paths
from sagehound.localcloud.instances.spec import InstanceSpec
from sagehound.localcloud.instances.stand_ins import Inside
from sagehound.localcloud.interception.variables import client_variables, wgetrc, wgetrc_beside

_FOLDER = "sagehound/authority"
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""What an instance of EC2 has not either: it asks its metadata."""


def variables(env: Mapping[str, str], spec: InstanceSpec, inside: Inside, metadata_host: str | None) -> dict[str, str]:
    """The variables of its programs, whose AWS_ENDPOINT_URL (`env`) is the proxy too; its own names go past it."""
    own = [name for name in (metadata_host, spec.hostname, spec.private_ip) if name]
    found = client_variables(env["AWS_ENDPOINT_URL"], _bundle(inside.opt), spec.region, direct=own)
    return {name: value for name, value in found.items() if name not in _REGION}


def put(disk: Path, inside: Inside, bundle: Path) -> None:
    """Put the CAs, and wget's start-up file, on its disk; anew at each boot."""
    paths.write(str(disk), _bundle("/opt"), bundle.read_bytes())
    paths.write(str(disk), wgetrc_beside(_bundle("/opt")), wgetrc(_bundle(inside.opt)))


def _bundle(opt: str) -> str:
    return f"{opt}/{_FOLDER}/bundle.pem"
