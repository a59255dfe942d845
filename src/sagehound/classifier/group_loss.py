"""What broke a group of hosts, in a sentence: which connection was lost and how, in place of a C++ trace"""

import json
import re
import socket
from collections.abc import Mapping

from sagehound.classifier.place import Place

KINDS = (
    (r"EADDRINUSE|Address already in use", "its port is in use by another program: set MASTER_PORT to a free one"),
    (r"Connection closed by peer|recvBytes|Connection was likely closed", "it closed the connection (it has ended)"),
    (r"Connection reset by peer|Broken pipe", "the connection broke while data were on the way (it has ended)"),
    (r"Connection refused", "it refuses connections (it has ended, or never listened)"),
    (r"[Tt]imed? ?out|Timeout", "it was silent for too long (it hangs, or the network between the hosts does)"),
    (r"(host|node)name|getaddrinfo|Name or service not known", "its name is not known here"),
    (r"NCCL|nccl[A-Z]", "nccl has lost it"),
)
"""Words of gloo, nccl and torch's store, and what they mean for a reader."""
_OURS = re.compile(r"gloo|nccl|NCCL|TCPStore|c10d|(client|server) socket")
_ADDRESS = re.compile(r"\[([0-9a-fA-F.:]+)\]:\d+")


class GroupBroken(RuntimeError):
    """The hosts cannot train together, or not any more; the text says which connection failed and how."""


def describe(error: RuntimeError, place: Place, environ: Mapping[str, str]) -> str | None:
    """The sentence for an error of torch.distributed; None for any other error."""
    text = str(error)
    if not _OURS.search(text):
        return None
    kind = next((meaning for pattern, meaning in KINDS if re.search(pattern, text)), None)
    if kind is None:
        return None
    who = _peer(text, environ)
    if who is None:
        meeting = re.search(r"(client|server) socket|TCPStore", text) is not None
        who = f"{place.address}, port {place.port}, where the hosts meet" if meeting else "another host"
    first_line = text.partition("\n")[0].partition(". This is typically")[0]
    return (
        f"host {place.rank + 1} of {place.world} lost the connection to {who}: {kind}. "
        f"The log of the host that ended first says why. ({first_line[:300]})"
    )


def _peer(text: str, environ: Mapping[str, str]) -> str | None:
    """The name of the host whose address the error names, where addresses tell hosts apart."""
    found = _ADDRESS.search(text)
    if found is None:
        return None
    for host in json.loads(environ.get("SM_HOSTS") or "[]"):
        try:
            if host != environ.get("SM_CURRENT_HOST") and socket.gethostbyname(host) == found[1]:
                return str(host)
        except OSError:
            continue  # a name that does not resolve cannot be the address's
    return None
