"""The routes of S3: host and path give bucket and key, method and subresource the operation."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import codec

_HOSTED = re.compile(
    r"(?P<bucket>[^:]+?)\.(?:s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com(?:\.cn)?|(?:s3\.(?:[a-z0-9-]+\.)?)?localhost)(?::\d+)?",
    re.IGNORECASE,
)
_SERVICE_HOST = re.compile(r"s3(?:[.-][a-z0-9.-]+)?\.(?:amazonaws\.com(?:\.cn)?|localhost)(?::\d+)?", re.IGNORECASE)
_LONGEST_HOST = 260
_UNMODELLED = ("PostObject", "BucketCORSPreflightCheck", "ObjectCORSPreflightCheck")
_PLAIN_OBJECT = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


class Found(NamedTuple):
    """What a request asks of S3."""

    operation: str
    uri_params: dict[str, str]
    query: dict[str, str]
    modelled: bool = True


class _Candidate(NamedTuple):
    operation: str
    query: tuple[tuple[str, str | None], ...]
    headers: tuple[str, ...]


def match(http: HttpRequest) -> Found:
    """The S3 operation of any request that no other service claims."""
    bucket, key = bucket_and_key(http)
    uri_params = {}
    if bucket:
        uri_params["Bucket"] = bucket
    if key:
        uri_params["Key"] = key
    scope = 2 if key else 1 if bucket else 0
    if scope == 2 and not http.query_string and "x-amz-copy-source" not in http.headers:
        operation = _PLAIN_OBJECT.get(http.method)
        if operation is not None:
            return Found(operation, uri_params, {})
    query: dict[str, str] = {}
    if http.query_string:
        for name, value in parse_qsl(http.query_string, keep_blank_values=True):
            query.setdefault(name, value)
    if http.method == "OPTIONS":
        return Found("OptionsObject", uri_params, query, modelled=False)
    if http.method == "POST" and scope == 1 and _is_form_upload(http):
        return Found("PostObject", uri_params, query, modelled=False)
    for candidate in _candidates().get((scope, http.method), ()):
        if _accepts(candidate, http, query):
            return Found(candidate.operation, uri_params, query)
    raise AwsError(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        405,
        members={"Method": http.method, "ResourceType": ("SERVICE", "BUCKET", "OBJECT")[scope]},
    )


def bucket_and_key(http: HttpRequest) -> tuple[str, str]:
    """Bucket and key, virtual-hosted or path style; either may be ''. Keys keep every slash and character."""
    path = http.raw_path[1:] if http.raw_path.startswith("/") else http.raw_path
    bucket = hosted_bucket(http.headers.get("host", ""))
    if bucket is None:
        raw_bucket, _, raw_key = path.partition("/")
        bucket = _decoded(raw_bucket)
    else:
        raw_key = path
    return bucket, _decoded(raw_key)


@functools.lru_cache(maxsize=1024)
def hosted_bucket(host: str) -> str | None:
    """The bucket of a virtual-hosted request (`BUCKET.s3.REGION.amazonaws.com`, `BUCKET.localhost`), or None."""
    # No name of a host is longer; the expressions below take quadratic time for what cannot be one.
    if len(host) > _LONGEST_HOST or _SERVICE_HOST.fullmatch(host):
        return None
    found = _HOSTED.fullmatch(host)
    return found["bucket"] if found else None


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as reason:
        raise AwsError("InvalidURI", "Couldn't parse the specified URI.", members={"URI": text}) from reason


def _is_form_upload(http: HttpRequest) -> bool:
    return http.headers.get("content-type", "").startswith("multipart/form-data")


def _accepts(candidate: _Candidate, http: HttpRequest, query: dict[str, str]) -> bool:
    for name, value in candidate.query:
        if name not in query or (value is not None and query[name] != value):
            return False
    return all(name in http.headers for name in candidate.headers)


@functools.cache
def subresources() -> frozenset[str]:
    """The names in a query that choose the operation."""
    return frozenset(name for entries in _candidates().values() for candidate in entries for name, _ in candidate.query)


@functools.cache
def _candidates() -> dict[tuple[int, str], list[_Candidate]]:
    """(0 service, 1 bucket, 2 object; method) -> operations, those with the most conditions first."""
    model = codec.service_model("s3")
    found: dict[tuple[int, str], list[tuple[int, _Candidate]]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        trait = operation.http_trait
        if trait.path.startswith("/WriteGetObjectResponse") or name in _UNMODELLED:
            continue
        scope = 2 if "{Key" in trait.path else 1 if "{Bucket" in trait.path else 0
        query = {key: value or None for key, value in trait.query_args.items() if key != "x-id"}
        headers: list[str] = []
        if operation.input_shape is not None:
            for required in operation.input_shape.required_query_args:
                query.setdefault(required, None)
            headers = [header.lower() for header in operation.input_shape.required_headers]
        weight = 10 * (len(query) + len(headers)) - 5 * bool(operation.deprecated)
        candidate = _Candidate(name, tuple(query.items()), tuple(headers))
        found.setdefault((scope, trait.method), []).append((-weight, candidate))
    return {
        where: [candidate for _, candidate in sorted(entries, key=lambda entry: (entry[0], entry[1].operation))]
        for where, entries in found.items()
    }
