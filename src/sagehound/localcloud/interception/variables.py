"""The environment in which an unmodified client finds this cloud where it looks for AWS: proxy, trust and region."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

DIRECT = ("localhost", "127.0.0.0/8", "127.0.0.1", "::1", "0.0.0.0", "169.254.169.254")
"""What goes past the proxy: this machine, by every spelling that some client compares, and an instance's metadata."""


def bundle_of(data_dir: Path) -> Path:
    """The file of CAs that clients trust: those of the machine, and the cloud's own."""
    return data_dir / "authority" / "bundle.pem"


def client_variables(proxy_url: str, bundle: str, region: str, *, direct: Iterable[str] = ()) -> dict[str, str]:
    """What a client is given, beside its credentials.

    `proxy_url` is the cloud's endpoint_url, `bundle` the path of `bundle_of` as the client sees it, with the file
    `wgetrc` beside it; `direct` are hosts that it reaches without the proxy, beside its own machine: those of its job.
    """
    proxy = urlsplit(proxy_url).hostname or ""
    passed = ",".join(dict.fromkeys((*DIRECT, proxy, *direct)))
    return {
        # Both spellings: curl reads http_proxy in small letters only, others read the first that they find.
        "HTTPS_PROXY": proxy_url,
        "https_proxy": proxy_url,
        "HTTP_PROXY": proxy_url,
        "http_proxy": proxy_url,
        "NO_PROXY": passed,
        "no_proxy": passed,
        "NODE_USE_ENV_PROXY": "1",
        "AWS_CA_BUNDLE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": bundle,
        "PIP_CERT": bundle,
        "GIT_SSL_CAINFO": bundle,
        "WGETRC": wgetrc_beside(bundle),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }


def wgetrc_beside(bundle: str) -> str:
    """The start-up file of wget: the wget that is linked with GnuTLS takes CAs from nowhere else."""
    return str(Path(bundle).with_name("wgetrc"))


def wgetrc(bundle: str, own: str = "") -> str:
    """The text of that file: what the person's own start-up file says (`own`), but for proxies and CAs."""
    kept = [line for line in own.splitlines() if _command(line) not in _REPLACED]
    return "\n".join([*kept, f"ca_certificate = {bundle}", ""])


_REPLACED = frozenset({"cacertificate", "cadirectory", "httpproxy", "httpsproxy", "noproxy", "useproxy"})


def _command(line: str) -> str:
    """The command of a line as wget compares it: without case, dashes and underscores."""
    return line.partition("=")[0].strip().lower().replace("-", "").replace("_", "")
