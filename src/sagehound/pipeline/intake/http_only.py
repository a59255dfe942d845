"""Only http and https are fetched, also behind a redirect."""

from __future__ import annotations

import urllib.parse
import urllib.request
from typing import Any

from sagehound.errors import DataRefused


def refuse_other_schemes(url: str) -> None:
    """Raise DataRefused unless ``url`` is an http(s) address with a host."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DataRefused(f"{url} is no http or https address", "Give a folder, a zip, an http(s) address or s3://.")


class HttpOnlyRedirects(urllib.request.HTTPRedirectHandler):
    """urllib follows redirects to ftp as well; this one does not."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The next request, unless it leaves http(s)."""
        refuse_other_schemes(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
