"""Who calls: the signature on a request is verified against the caller's secret, or the request is refused."""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from sagehound.localcloud.call import Caller, Credential, CredentialSource, HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import payload, refusals, sigv2, sigv4
from sagehound.localcloud.wire.host_region import host_region
from sagehound.localcloud.wire.payload import ChunkSigning, PayloadCheck
from sagehound.localcloud.wire.route import Route

ANONYMOUS = Caller(arn="", user_id="anonymous", account_id="", access_key_id="")
"""Whoever signs nothing: S3 lets in whom a bucket's policy lets in, and reads who signed the policy of a form."""
_SIGNING_NAMES = {"cloudwatch": "monitoring", "sagemaker-runtime": "sagemaker"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Authentication:
    """A verified caller, the region it signed for, and how its body proves itself."""

    caller: Caller
    region: str
    payload: PayloadCheck = field(default_factory=PayloadCheck)


def authenticate(
    http: HttpRequest, route: Route, credentials: CredentialSource, now: float, body: bytes | None
) -> Authentication:
    """Verify SigV4 (header or query) or, for S3, SigV2. `body` is None when the operation streams it.

    AwsError in the service's words: no, unknown or inactive key; wrong signature, service, session token or time.
    """
    authorization = http.headers.get("authorization", "")
    query = dict(parse_qsl(http.query_string, keep_blank_values=True)) if http.query_string else {}
    if authorization and route.service == "s3" and ("X-Amz-Algorithm" in query or "AWSAccessKeyId" in query):
        raise refusals.two_signatures(authorization)
    if authorization.startswith(sigv4.ALGORITHM):
        return _version_4(http, route, credentials, now, body, sigv4.from_header(http, route))
    if "X-Amz-Algorithm" in query or "X-Amz-Signature" in query:
        return _version_4(http, route, credentials, now, body, sigv4.from_query(query, route))
    if route.service == "s3":
        if authorization.startswith("AWS "):
            return _version_2_header(http, route, credentials, now, authorization)
        if "AWSAccessKeyId" in query and "Signature" in query:
            return _version_2_query(http, route, credentials, now, query)
        if authorization:
            raise AwsError("InvalidArgument", "Unsupported Authorization Type")
        readable = "Bucket" in route.uri_params and http.method in ("GET", "HEAD", "DELETE")
        if route.model is None or route.streaming or readable:
            # Never a document: it would be read for somebody of whom nothing is known.
            return Authentication(ANONYMOUS, _host_region(http), _anonymous_payload(http))
    raise refusals.missing_token(route)


def _host_region(http: HttpRequest) -> str:
    """The region of a call that signs none: signature version 2 has no place for it."""
    return host_region(http.headers.get("host", ""))


def _anonymous_payload(http: HttpRequest) -> PayloadCheck:
    """An unsigned body may still be aws-chunked."""
    chunked = http.headers.get("x-amz-content-sha256") == payload.UNSIGNED_TRAILER
    return PayloadCheck(chunked=chunked, trailers=chunked)


def credential_for(
    route: Route, credentials: CredentialSource, access_key_id: str, session_token: str | None
) -> Credential:
    """The credential of an access key, its session token compared."""
    credential = credentials.find(access_key_id)
    if credential is None:
        raise refusals.unknown_key(route, access_key_id)
    expected = credential.session_token or ""
    if not hmac.compare_digest(expected.encode(), (session_token or "").encode()):
        raise refusals.wrong_session_token(route)
    return credential


def _version_4(
    http: HttpRequest,
    route: Route,
    credentials: CredentialSource,
    now: float,
    body: bytes | None,
    signature: sigv4.Signature,
) -> Authentication:
    credential = credential_for(route, credentials, signature.access_key_id, signature.session_token)
    expected = _SIGNING_NAMES.get(route.service, route.service)
    if signature.service != expected:
        raise refusals.wrong_scope(route, f"Credential should be scoped to correct service: '{expected}'.")
    sigv4.check_time(signature, route, now)
    sigv4.check_headers(signature, http, route)
    check = PayloadCheck()
    if route.service == "s3":
        digest, check = _s3_payload(http, signature, credential, body)
    elif body is not None:
        digest = hashlib.sha256(body).hexdigest()
    else:
        _check_expiration(route, credential, now)

        def verify_at_end(sha256: str) -> None:
            _verify(http, route, signature, credential, sha256)
            _note_use(credentials, credential, route, signature.region)

        check = PayloadCheck(at_end=verify_at_end)
        return Authentication(credential.caller, signature.region, check)
    _verify(http, route, signature, credential, digest)
    _check_expiration(route, credential, now)
    _note_use(credentials, credential, route, signature.region)
    return Authentication(credential.caller, signature.region, check)


def _note_use(credentials: CredentialSource, credential: Credential, route: Route, region: str) -> None:
    """A source that wants to know learns which key was used for what (GetAccessKeyLastUsed)."""
    note = getattr(credentials, "note_use", None)
    if note is not None:
        note(credential.access_key_id, route.service, region)


def _verify(http: HttpRequest, route: Route, signature: sigv4.Signature, credential: Credential, digest: str) -> None:
    canonical = sigv4.canonical_request(signature, http, route, digest)
    text = sigv4.string_to_sign(signature, canonical)
    if not sigv4.matches(signature, credential.secret_access_key, text):
        raise refusals.wrong_signature(route, text, signature.access_key_id)


def _check_expiration(route: Route, credential: Credential, now: float) -> None:
    if credential.expiration is not None and now >= credential.expiration:
        raise refusals.expired_session(route)


def _s3_payload(
    http: HttpRequest, signature: sigv4.Signature, credential: Credential, body: bytes | None
) -> tuple[str, PayloadCheck]:
    """What was signed as the body's digest, and how a streamed body will prove itself."""
    declared = http.headers.get("x-amz-content-sha256")
    if signature.expires is not None and (declared is None or "x-amz-content-sha256" not in signature.signed_headers):
        # A presigned URL says nothing of the body unless it was signed with the header.
        return payload.UNSIGNED, PayloadCheck()
    if declared is None:
        raise AwsError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if declared == payload.UNSIGNED:
        return declared, PayloadCheck()
    if declared in payload.STREAMING:
        signing = None
        if declared != payload.UNSIGNED_TRAILER:
            key = sigv4.signing_key(credential.secret_access_key, signature.date, signature.region, signature.service)
            signing = ChunkSigning(key, signature.timestamp, signature.scope, signature.signature)
        trailers = declared != payload.SIGNED_CHUNKS
        return declared, PayloadCheck(chunked=True, trailers=trailers, signing=signing)
    if not _SHA256.fullmatch(declared):
        message = (
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
        )
        raise AwsError("InvalidArgument", message, members={"ArgumentName": "x-amz-content-sha256"})
    if body is None:
        return declared, PayloadCheck(sha256=declared)
    computed = hashlib.sha256(body).hexdigest()
    if computed != declared:
        raise payload.mismatch(declared, computed)
    return declared, PayloadCheck()


def _version_2_query(
    http: HttpRequest, route: Route, credentials: CredentialSource, now: float, query: dict[str, str]
) -> Authentication:
    try:
        expires = int(query["Expires"])
    except (KeyError, ValueError) as reason:
        raise AwsError("AccessDenied", "Query-string authentication requires the Expires parameter", 403) from reason
    credential = credential_for(route, credentials, query["AWSAccessKeyId"], query.get("x-amz-security-token"))
    if now > expires:
        raise refusals.url_expired(route, sigv4.format_timestamp(expires), sigv4.format_timestamp(now))
    signed = {name: value for name, value in query.items() if name not in ("AWSAccessKeyId", "Signature", "Expires")}
    sigv2.check_subresources(query)
    text = sigv2.string_to_sign(http, signed, query["Expires"])
    return _version_2(http, route, credentials, credential, now, text, query["Signature"])


def _version_2_header(
    http: HttpRequest, route: Route, credentials: CredentialSource, now: float, authorization: str
) -> Authentication:
    access_key_id, _, signature = authorization[4:].strip().partition(":")
    credential = credential_for(route, credentials, access_key_id, http.headers.get("x-amz-security-token"))
    date = http.headers.get("x-amz-date") or http.headers.get("date", "")
    try:
        signed_at = calendar.timegm(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError as reason:
        raise AwsError("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header", 403) from reason
    if abs(now - signed_at) > sigv4.MAX_SKEW_SECONDS:
        raise refusals.skewed(route, date, sigv4.format_timestamp(now))
    text = sigv2.string_to_sign(http, {}, "" if "x-amz-date" in http.headers else date)
    return _version_2(http, route, credentials, credential, now, text, signature)


def _version_2(
    http: HttpRequest,
    route: Route,
    credentials: CredentialSource,
    credential: Credential,
    now: float,
    text: str,
    signature: str,
) -> Authentication:
    expected = sigv2.sign(credential.secret_access_key, text)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise refusals.wrong_signature(route, text, credential.access_key_id)
    _check_expiration(route, credential, now)
    region = _host_region(http)
    _note_use(credentials, credential, route, region)
    return Authentication(credential.caller, region)
