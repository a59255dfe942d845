"""Signature version 4, verified: header and query (presigned), canonical request to constant-time comparison.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import calendar
import functools
import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_to_bytes

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.wire import refusals
from sagehound.localcloud.wire.route import Route

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW_SECONDS = 15 * 60
MAX_EXPIRES_SECONDS = 7 * 24 * 3600
_SAFE = "-_.~"
_LAST_SECOND = 253402300799
"""Of the year 9999."""
_FIELD = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_SPACES = re.compile(r" {2,}")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says of its own signing; `expires` only for presigned URLs."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    session_token: str | None
    expires: int | None = None

    @property
    def scope(self) -> str:
        """`20261122/us-east-1/s3/aws4_request`."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def from_header(http: HttpRequest, route: Route) -> Signature:
    """The signature in the Authorization header."""
    header = http.headers["authorization"]
    fields = dict(_FIELD.findall(header))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in fields]
    if missing:
        words = " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        raise refusals.malformed_authorization(route, f"{words} Authorization={header.split(' ')[0]}")
    timestamp = http.headers.get("x-amz-date") or _from_http_date(http.headers.get("date", ""))
    if not timestamp:
        message = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        raise refusals.malformed_authorization(route, message)
    token = http.headers.get("x-amz-security-token")
    return _signature(route, fields["Credential"], fields["SignedHeaders"], fields["Signature"], timestamp, token, None)


def from_query(query: dict[str, str], route: Route) -> Signature:
    """The signature in the query string of a presigned URL."""
    names = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")
    # STS URLs may come without X-Amz-Expires; S3 asks for all of them.
    needed = [name for name in names if route.service == "s3" or name != "X-Amz-Expires"]
    if any(name not in query for name in needed) or query.get("X-Amz-Algorithm") != ALGORITHM:
        message = (
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
        raise refusals.malformed_query(route, message)
    try:
        expires = int(query.get("X-Amz-Expires", MAX_SKEW_SECONDS))
    except ValueError as reason:
        raise refusals.malformed_query(route, "X-Amz-Expires should be a number") from reason
    if expires < 0:
        raise refusals.malformed_query(route, "X-Amz-Expires must be non-negative")
    if expires > MAX_EXPIRES_SECONDS:
        message = (
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            "604800 seconds"
        )
        raise refusals.malformed_query(route, message)
    return _signature(
        route,
        query["X-Amz-Credential"],
        query["X-Amz-SignedHeaders"],
        query["X-Amz-Signature"],
        query["X-Amz-Date"],
        query.get("X-Amz-Security-Token"),
        expires,
    )


def _signature(
    route: Route,
    credential: str,
    signed_headers: str,
    signature: str,
    timestamp: str,
    token: str | None,
    expires: int | None,
) -> Signature:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        message = (
            f'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request": {credential}'
        )
        raise refusals.malformed_authorization(route, message)
    access_key_id, date, region, service, _ = parts
    names = tuple(signed_headers.lower().split(";"))
    return Signature(access_key_id, date, region, service, names, signature, timestamp, token, expires)


def check_time(signature: Signature, route: Route, now: float) -> None:
    """Signed within 15 minutes of now, or presigned and not past its time; the scope's date is the timestamp's."""
    signed_at = parse_timestamp(signature.timestamp)
    if signed_at is None or signature.timestamp[:8] != signature.date:
        message = (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{signature.date}' != '{signature.timestamp[:8]}', from '{signature.timestamp}'."
        )
        raise refusals.wrong_scope(route, message)
    if signature.expires is None:
        if abs(now - signed_at) > MAX_SKEW_SECONDS:
            raise refusals.skewed(route, signature.timestamp, format_timestamp(now))
        return
    if signed_at - now > MAX_SKEW_SECONDS:
        raise refusals.skewed(route, signature.timestamp, format_timestamp(now))
    if now > signed_at + signature.expires:
        raise refusals.url_expired(route, format_timestamp(signed_at + signature.expires), format_timestamp(now))


def check_headers(signature: Signature, http: HttpRequest, route: Route) -> None:
    """`host` and every x-amz- header must be signed, or anyone on the way could add one."""
    missing = [name for name in signature.signed_headers if name not in http.headers]
    unsigned = [name for name in http.headers if name.startswith("x-amz-") and name not in signature.signed_headers]
    # The digest of the body proves itself; a JSON target that is unsigned is what botocore's peers never send.
    unsigned = [name for name in unsigned if name != "x-amz-content-sha256"]
    if "host" not in signature.signed_headers or missing or (unsigned and route.service == "s3"):
        if route.service == "s3":
            names = ", ".join(unsigned or missing or ["host"])
            refusal = refusals.wrong_signature(route)
            refusal.code, refusal.message = (
                "AccessDenied",
                "There were headers present in the request which were not signed",
            )
            refusal.members = {"HeadersNotSigned": names}
            raise refusal
        raise refusals.wrong_signature(route)
    if unsigned and "x-amz-target" in unsigned:
        raise refusals.wrong_signature(route)


def canonical_request(signature: Signature, http: HttpRequest, route: Route, payload_sha256: str) -> str:
    """The text whose digest is signed."""
    path = http.raw_path or "/"
    # S3 signs the path as it is sent; the others encode it once more.
    canonical_path = quote(unquote_to_bytes(path), safe="/-_.~") if route.service == "s3" else quote(path, safe="/-_.~")
    headers = http.headers
    lines = [
        http.method,
        canonical_path,
        canonical_query(http.query_string),
        *(f"{name}:{_trimmed(headers[name])}" for name in signature.signed_headers),
        "",
        ";".join(signature.signed_headers),
        payload_sha256,
    ]
    return "\n".join(lines)


def string_to_sign(signature: Signature, canonical: str) -> str:
    """Algorithm, time, scope and the digest of the canonical request."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{ALGORITHM}\n{signature.timestamp}\n{signature.scope}\n{digest}"


def matches(signature: Signature, secret: str, text: str) -> bool:
    """Whether `text`, signed with `secret`, has the request's signature."""
    key = signing_key(secret, signature.date, signature.region, signature.service)
    expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.signature.encode())


@functools.lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def canonical_query(query_string: str) -> str:
    """Sorted, encoded once, without the signature itself."""
    if not query_string:
        return ""
    pairs = []
    for part in query_string.split("&"):
        if not part:
            continue
        # A plus is read as a blank, so it is signed as one: otherwise it could take the place of a signed %2B.
        name, _, value = part.replace("+", " ").partition("=")
        name = unquote(name)
        if name != "X-Amz-Signature":
            pairs.append((quote(name, safe=_SAFE), quote(unquote(value), safe=_SAFE)))
    pairs.sort()
    return "&".join(f"{name}={value}" for name, value in pairs)


def parse_timestamp(text: str) -> float | None:
    """Seconds since 1970 of `20261122T010203Z`, or None."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return None


def format_timestamp(seconds: float) -> str:
    """`20261122T010203Z`."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(min(max(seconds, 0), _LAST_SECOND)))


def _from_http_date(text: str) -> str:
    try:
        return time.strftime("%Y%m%dT%H%M%SZ", time.strptime(text, "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError:
        return ""


def _trimmed(value: str) -> str:
    value = value.strip()
    return _SPACES.sub(" ", value) if "  " in value else value
