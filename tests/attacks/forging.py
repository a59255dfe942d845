"""Requests as an attacker writes them: signed with a real key, for any service, region and moment, then changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.cloud_process import CloudProcess

JSON = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def signed(
    keys: Mapping[str, Any],
    method: str,
    url: str,
    *,
    scope: str,
    region: str = "us-east-1",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    when: datetime | None = None,
) -> requests.PreparedRequest:
    """A request signed by botocore's own signer in the name of the service `scope`, whatever the request is."""
    request = AWSRequest(method, url, headers=dict(headers or {}), data=body)
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("SessionToken"))
    signer = (S3SigV4Auth if scope == "s3" else SigV4Auth)(credentials, scope, region)
    moment = (when or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = moment
    request.headers["X-Amz-Date"] = moment
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    if scope == "s3":
        request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return requests.Request(method, url, headers=dict(request.headers), data=body).prepare()


def presigned(keys: Mapping[str, Any], url: str, when: datetime, *, region: str = "us-east-1") -> str:
    """A URL to read an object, signed at a moment and good for a minute."""
    request = AWSRequest("GET", url)
    signer = S3SigV4QueryAuth(Credentials(keys["AccessKeyId"], keys["SecretAccessKey"]), "s3", region, expires=60)
    request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return str(request.url)


def send(request: requests.PreparedRequest) -> requests.Response:
    """The server's answer; no proxy of this machine is asked."""
    with requests.Session() as session:
        session.trust_env = False
        return session.send(request, timeout=60, allow_redirects=False)


def json_call(
    cloud: CloudProcess, keys: Mapping[str, Any], target: str, body: bytes, *, scope: str, **options: Any
) -> requests.PreparedRequest:
    """A call of a JSON service."""
    headers = {"X-Amz-Target": target, "Content-Type": JSON}
    return signed(keys, "POST", f"{cloud.endpoint_url}/", scope=scope, body=body, headers=headers, **options)
