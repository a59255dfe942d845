"""What clients trust, as one file: the CAs of this machine and the cloud's own. Nothing of the system is changed."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from pathlib import Path

import certifi

from sagehound.localcloud.interception.authority import write
from sagehound.localcloud.interception.variables import wgetrc

_BLOCK = re.compile(r"-----BEGIN (TRUSTED )?CERTIFICATE-----\s.*?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL)


def write_bundle(path: Path, own: str, trusted: Iterable[Path] = (), own_wgetrc: Path | None = None) -> None:
    """Write the bundle, and wget's start-up file beside it.

    `own` is the cloud's CA, `trusted` are files that the person trusts beside the machine's, `own_wgetrc` is the
    person's start-up file.
    """
    blocks = {_key(block): block for source in _sources(trusted, path) for block in _certificates(source)}
    blocks.pop(_key(own), None)
    write(path, "\n".join([*blocks.values(), own.strip(), ""]).encode(), 0o644)
    text = ""
    if own_wgetrc is not None and own_wgetrc.is_file():
        text = own_wgetrc.read_text(errors="surrogateescape")
    # It may hold passwords of the person's.
    beside = path.with_name("wgetrc")
    write(beside, wgetrc(str(path), text).encode(errors="surrogateescape"), 0o600 if text else 0o644)


def _sources(trusted: Iterable[Path], bundle: Path) -> list[Path]:
    defaults = ssl.get_default_verify_paths()
    files = [Path(defaults.cafile)] if defaults.cafile else []
    # Under this cloud's own environment SSL_CERT_FILE is the bundle itself: the machine's file is the compiled one.
    files += [Path(defaults.openssl_cafile), Path(certifi.where()), *trusted]
    if not any(file.is_file() for file in files[:-1]) and defaults.capath:
        files += sorted(Path(defaults.capath).glob("*.0"))
    return [file for file in dict.fromkeys(files) if file.is_file() and file.resolve() != bundle.resolve()]


def _certificates(path: Path) -> list[str]:
    """The certificates of a file; those in OpenSSL's own TRUSTED form are left out: other libraries stop at them."""
    text = path.read_text(errors="replace")
    return [found[0] for found in _BLOCK.finditer(text) if found[1] is None]


def _key(block: str) -> str:
    return "".join(block.split())
