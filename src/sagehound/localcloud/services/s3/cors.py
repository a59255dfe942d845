"""Cross-origin rules of buckets: kept, answered to preflights, and told on the answers that they allow."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.errors import malformed_xml
from sagehound.localcloud.services.s3.records import Bucket, BucketTable

_METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
_NOT_ALLOWED = (
    "This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)
_ALLOWED = "Access-Control-Allow"


class Cors:
    """The CORS configuration of buckets, and OptionsObject, the browser's preflight."""

    def __init__(self, buckets: BucketTable) -> None:
        self._buckets = buckets

    def PutBucketCors(self, call: Call, request: Request) -> Response:
        """Replace the rules."""
        bucket = self._buckets.require(request)
        rules = request["CORSConfiguration"]["CORSRules"]
        if not 1 <= len(rules) <= 100:
            raise malformed_xml()
        for rule in rules:
            for method in rule["AllowedMethods"]:
                if method not in _METHODS:
                    message = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                    raise AwsError("InvalidRequest", message, 400)
        self._buckets.save({**bucket, "CORSRules": rules})
        return {}

    def GetBucketCors(self, call: Call, request: Request) -> Response:
        """The rules."""
        bucket = self._buckets.require(request)
        if "CORSRules" not in bucket:
            message = "The CORS configuration does not exist"
            raise AwsError("NoSuchCORSConfiguration", message, 404, members={"BucketName": bucket["Name"]})
        return {"CORSRules": bucket["CORSRules"]}

    def DeleteBucketCors(self, call: Call, request: Request) -> Response:
        """Remove the rules."""
        bucket = self._buckets.require(request)
        self._buckets.save({name: value for name, value in bucket.items() if name != "CORSRules"})
        return {}

    def OptionsObject(self, call: Call, request: Request) -> Response:
        """What a browser asks before a cross-origin call: 200 with what is allowed, or 403."""
        headers = call.http.headers
        origin, method = headers.get("origin"), headers.get("access-control-request-method")
        if not origin or method not in _METHODS:
            message = "Insufficient information. Origin request header needed."
            raise AwsError("BadRequest", message, 400)
        bucket = self._buckets.find(request.get("Bucket", ""))
        wanted = [name.strip().lower() for name in headers.get("access-control-request-headers", "").split(",") if name]
        rule = _matching(bucket, origin, method, wanted)
        if rule is None:
            reason = "CORS is not enabled for this bucket."
            if bucket is not None and "CORSRules" in bucket:
                reason = _NOT_ALLOWED
            members = {"Method": method, "ResourceType": "OBJECT" if request.get("Key") else "BUCKET"}
            raise AwsError("AccessForbidden", f"CORSResponse: {reason}", 403, members=members)
        call.response_headers |= _told(rule, origin)
        if wanted:
            call.response_headers[f"{_ALLOWED}-Headers"] = ", ".join(wanted)
        call.status = 200
        return {}

    def tell(self, call: Call, request: Request) -> None:
        """Add to an answer what its bucket's rules allow the origin that asks."""
        origin = call.http.headers.get("origin")
        if origin is None:
            return
        rule = _matching(self._buckets.find(request.get("Bucket", "")), origin, call.http.method, [])
        if rule is not None:
            call.response_headers |= _told(rule, origin)


def _matching(bucket: Bucket | None, origin: str, method: str, headers: list[str]) -> dict[str, Any] | None:
    """The first rule that allows an origin, a method and request headers."""
    for rule in (bucket or {}).get("CORSRules", ()):
        allowed = [name.lower() for name in rule.get("AllowedHeaders", ())]
        if (
            method in rule["AllowedMethods"]
            and any(_fits(origin, pattern) for pattern in rule["AllowedOrigins"])
            and all(any(_fits(name, pattern) for pattern in allowed) for name in headers)
        ):
            found: dict[str, Any] = rule
            return found
    return None


def _fits(text: str, pattern: str) -> bool:
    """`*` stands for anything; nothing else is special."""
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))


def _told(rule: dict[str, Any], origin: str) -> dict[str, str]:
    everybody = "*" in rule["AllowedOrigins"]
    told = {
        f"{_ALLOWED}-Origin": "*" if everybody else origin,
        f"{_ALLOWED}-Methods": ", ".join(rule["AllowedMethods"]),
        "Vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    }
    if not everybody:
        told[f"{_ALLOWED}-Credentials"] = "true"
    if rule.get("ExposeHeaders"):
        told["Access-Control-Expose-Headers"] = ", ".join(rule["ExposeHeaders"])
    if rule.get("MaxAgeSeconds") is not None:
        told["Access-Control-Max-Age"] = str(rule["MaxAgeSeconds"])
    return told
