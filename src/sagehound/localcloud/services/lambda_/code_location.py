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
from sagehound.localcloud.services.lambda_.code import Packages

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

    def open(self, http: HttpRequest) -> FileRange:
        """The package that an address names; AccessDenied for any address that is not one of ours, or too old."""
        query = {name: values[0] for name, values in parse_qs(http.query_string).items()}
        version, expires = query.get("versionId", ""), query.get("X-Amz-Expires", "")
        wanted = self._signature(http.raw_path, version, expires)
        if http.method not in ("GET", "HEAD") or not hmac.compare_digest(
            wanted.encode(), query.get("X-Amz-Signature", "").encode()
        ):
            raise AwsError("AccessDenied", "Access Denied", 403)
        if int(expires) < time.time():
            raise AwsError("AccessDenied", "Request has expired", 403)
        path = self._packages.zip_named(version)
        return FileRange(path, 0, path.stat().st_size)

    def _signature(self, path: str, version: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}\n{version}\n{expires}".encode(), hashlib.sha256).hexdigest()
