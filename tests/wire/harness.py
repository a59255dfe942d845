"""A real botocore client whose request meets our wire instead of a socket, and which reads our answer."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from requests.structures import CaseInsensitiveDict

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.wire.protocol import WireResponse

ENDPOINT = "http://127.0.0.1:4566"
Answer = Callable[[HttpRequest, bytes], WireResponse]


class _Raw(io.BytesIO):
    """The part of urllib3's response that botocore reads."""

    def stream(self, amt: int = 65536, **_: Any) -> Iterator[bytes]:
        while piece := self.read(amt):
            yield piece


def http_request(method: str, url: str, headers: dict[str, Any], body: bytes = b"", piece: int = 65536) -> HttpRequest:
    """The message as the server would hand it to the gateway."""
    parts = urlsplit(url)
    lowered = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value) for name, value in headers.items()
    }
    lowered.setdefault("host", parts.netloc)

    async def receive() -> AsyncIterator[bytes]:
        for at in range(0, len(body), piece):
            yield body[at : at + piece]

    return HttpRequest(method, parts.path or "/", parts.query, lowered, parts.scheme, "127.0.0.1", receive)


def body_of(request: AWSPreparedRequest) -> bytes:
    """What botocore would send as the body."""
    body = request.body
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


def client(service: str, answer: Answer | None = None, *, endpoint: str = ENDPOINT, **options: Any) -> Any:
    """A boto3 client; `answer` takes the place of the network."""
    session_token = options.pop("session_token", None)
    secret = options.pop("secret", "secret")
    s3 = {"addressing_style": options.pop("addressing_style", "path")}
    config = Config(retries={"max_attempts": 0}, s3=s3, inject_host_prefix=False, **options)
    made = boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=secret,
        aws_session_token=session_token,
        config=config,
    )
    if answer is not None:

        def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            body = body_of(request)
            response = answer(http_request(request.method, request.url, dict(request.headers), body), body)
            assert isinstance(response.body, bytes)
            content = b"" if request.method == "HEAD" else response.body
            return AWSResponse(request.url, response.status, CaseInsensitiveDict(response.headers), _Raw(content))

        made.meta.events.register("before-send", send)
    return made
