"""What pip is told: where packages come from and through which proxy, as the person has set it for this machine"""

from __future__ import annotations

import os
from pathlib import Path

_PASSED = ("PATH", "HOME", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_PLACES = frozenset(f"PIP_{name}" for name in ("TARGET", "PREFIX", "ROOT", "USER", "PYTHON", "LOG", "REPORT", "SRC"))
"""Settings that would lead an installation away from the environment for which it is meant."""


def settings() -> dict[str, str]:
    """The PIP_* settings of this process, and the person's own pip.conf, for a program whose HOME is another one."""
    found = {name: value for name, value in os.environ.items() if name.startswith("PIP_") and name not in _PLACES}
    found["PIP_USER"] = "0"  # wins over a `user = true` of the files
    own = _configuration()
    return {"PIP_CONFIG_FILE": str(own), **found} if own is not None else found


def environment() -> dict[str, str]:
    """The whole environment of an installer that this process starts."""
    found = {name: value for name, value in os.environ.items() if name in _PASSED}
    found.update({name: value for name, value in os.environ.items() if name.upper() in _PROXIES})
    return {**found, **settings(), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def _configuration() -> Path | None:
    """The person's pip.conf, which pip looks for below HOME."""
    home = Path(os.environ.get("HOME") or "~").expanduser()
    folders = [Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip", home / ".pip"]
    return next((path for folder in folders if (path := folder / "pip.conf").is_file()), None)
