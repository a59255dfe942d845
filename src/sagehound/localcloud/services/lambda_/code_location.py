"""Addresses from which a package can be fetched without keys, for ten minutes: Code.Location."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlencode

from sagehound.localcloud.call import FileRange, HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.gateway import Exchange
from sagehound.localcloud.services.lambda_.code import Packages
from sagehound.localcloud.wire.protocol import WireResponse

PATH = "/_lambda-code/"
_SECONDS = 600


class CodeLocations:
    """Makes the addresses and answers them. They name a package by its digest and end with the server's run."""

    def __init__(self, packages: Packages, endpoint_url: Callable[[], str]) -> None:
        self._packages = packages
        self._endpoint_url = endpoint_url
        self._key = secrets.token_bytes(32)

    def url(self, snapshot: str, code_sha256: str) -> str:
        """An address of a package; `snapshot` says for a reader whose it is."""
        path = f"{PATH}{quote(snapshot)}"
        query = {
            "versionId": self._packages.zip_of(code_sha256).stem,
            "X-Amz-Expires": str(int(time.time()) + _SECONDS),
        }
        signature = self._signature(path, query["versionId"], query["X-Amz-Expires"])
        return f"{self._endpoint_url()}{path}?{urlencode({**query, 'X-Amz-Signature': signature})}"

    def claims(self, http: HttpRequest) -> bool:
        """Whether a request is for such an address."""
        return http.raw_path.startswith(PATH)

    async def answer(self, exchange: Exchange) -> WireResponse:
        """The package; AccessDenied for an address that is not one of ours, or too old."""
        http = exchange.http
        exchange.step = "authenticate"
        query = {name: values[0] for name, values in parse_qs(http.query_string).items()}
        version, expires = query.get("versionId", ""), query.get("X-Amz-Expires", "")
        wanted, given = self._signature(http.raw_path, version, expires), query.get("X-Amz-Signature", "")
        if http.method not in ("GET", "HEAD") or not hmac.compare_digest(wanted.encode(), given.encode()):
            raise AwsError("AccessDenied", "Access Denied", 403)
        if int(expires) < time.time():
            raise AwsError("AccessDenied", "Request has expired", 403)
        exchange.step = "dispatch"
        path = self._packages.zip_named(version)
        size = path.stat().st_size
        headers = [("Content-Type", "application/zip"), ("Content-Length", str(size))]
        return WireResponse(200, headers, FileRange(path, 0, size))

    def _signature(self, path: str, version: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}\n{version}\n{expires}".encode(), hashlib.sha256).hexdigest()
