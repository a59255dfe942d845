"""Requests that a real botocore client signed, caught before they are sent, and the keys to verify them with."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSPreparedRequest

from sagehound.localcloud.call import Caller, Credential, HttpRequest
from sagehound.localcloud.wire import protocol
from sagehound.localcloud.wire.authentication import Authentication, authenticate
from tests.wire.harness import body_of, client, http_request

ROOT = Caller("arn:aws:iam::123456789012:root", "123456789012", "123456789012", "AKIDEXAMPLE", is_root=True)


class Keys:
    """A credential source with one key."""

    def __init__(self, secret: str = "secret", session_token: str | None = None, expiration: float | None = None):
        self.credential = Credential("AKIDEXAMPLE", secret, ROOT, session_token, expiration)

    def find(self, access_key_id: str) -> Credential | None:
        return self.credential if access_key_id == self.credential.access_key_id else None


class _Caught(Exception):
    pass


@dataclass
class Signed:
    """A request as it would have gone out."""

    method: str
    url: str
    headers: dict[str, Any]
    body: bytes

    def http(self) -> HttpRequest:
        return http_request(self.method, self.url, self.headers, self.body)

    def route(self) -> protocol.Route:
        http = self.http()
        return protocol.identify(http, self.body if protocol.needs_body(http) else None)

    def authenticate(self, keys: Keys | None = None, now: float | None = None) -> Authentication:
        route = self.route()
        body = None if route.streaming else self.body
        return authenticate(self.http(), route, keys or Keys(), time.time() if now is None else now, body)


def signed(service: str, method: str, params: dict[str, Any], **options: Any) -> Signed:
    """What the client would send for `method(**params)`."""
    made = client(service, **options)
    caught: list[AWSPreparedRequest] = []

    def catch(request: AWSPreparedRequest, **_: Any) -> None:
        caught.append(request)
        raise _Caught

    made.meta.events.register("before-send", catch)
    with contextlib.suppress(_Caught):
        getattr(made, method)(**params)
    request = caught[0]
    return Signed(request.method, request.url, dict(request.headers), body_of(request))


def presigned(
    method: str, params: dict[str, Any], *, version: str, verb: str = "GET", expires: int = 3600, **options: Any
) -> Signed:
    """A presigned S3 URL; `version` is botocore's `s3v4` or `s3`."""
    made = client("s3", signature_version=version, **options)
    return Signed(verb, made.generate_presigned_url(method, Params=params, ExpiresIn=expires), {}, b"")
