"""The requests of a load: a few bodies, signed ahead of time and signed again before their signatures are old"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.plan import EndpointTarget, Target

SIGNATURE_SECONDS = 120.0
"""AWS takes a signature for five minutes around its time; half of that is left for clocks that differ."""
_AGAIN_SECONDS = 10.0
"""When signing is tried again that went wrong."""


@dataclass(frozen=True)
class Payload:
    """One body that is sent, and of what kind it is."""

    name: str
    content: bytes
    content_type: str


@dataclass(frozen=True)
class Signed:
    """A request as it goes on the wire, again and again until it is signed anew."""

    headers: dict[str, str]
    body: bytes


class SignedRequests:
    """Bodies in turn, each with headers whose signature is fresh.

    A signature covers address, headers and body, not a counter: the same one serves every request with the same body
    while it is young. So signing costs per body and two minutes, not per request, and is done in a thread.
    """

    def __init__(
        self, clients: Clients, target: Target, payloads: Sequence[Payload], lasts: float = SIGNATURE_SECONDS
    ) -> None:
        client = clients.runtime if isinstance(target, EndpointTarget) else clients.lambda_
        self.url = f"{client.meta.endpoint_url}{_path(target)}"
        self.signing_seconds = 0.0
        """What signing all of them took, the last time."""
        self.remarks: list[str] = []
        """Why signatures could not be made anew, each reason once."""
        self._lasts = lasts
        self._service = client.meta.service_model.signing_name
        self._region = clients.region
        self._credentials = clients.credentials
        self._extra = {} if isinstance(target, EndpointTarget) else {"X-Amz-Log-Type": "Tail"}
        self._payloads = [(payload, hashlib.sha256(payload.content).hexdigest()) for payload in payloads]
        self._signed: list[Signed] = []
        self.sign()

    def at(self, number: int) -> Signed:
        """The request number so-and-so, from 0 on."""
        return self._signed[number % len(self._signed)]

    def sign(self) -> None:
        """Sign every body now."""
        began = time.perf_counter()
        self._signed = [self._sign(payload, digest) for payload, digest in self._payloads]
        self.signing_seconds = time.perf_counter() - began

    async def keep_fresh(self) -> None:
        """Sign again and again, in a thread, until cancelled; credentials that are refused meanwhile are a remark."""
        pause = self._lasts
        while True:
            await asyncio.sleep(pause)
            pause = self._lasts
            try:
                await asyncio.to_thread(self.sign)
            except Exception as error:  # noqa: BLE001 - told beside the figures, and tried again
                pause = min(self._lasts, _AGAIN_SECONDS)
                remark = f"requests could not be signed anew, and AWS takes signatures for five minutes: {error}"
                if remark not in self.remarks:
                    self.remarks.append(remark)

    def _sign(self, payload: Payload, digest: str) -> Signed:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        # The digest as a header keeps the signer from reading the body again each time.
        headers: dict[str, Any] = {
            "Content-Type": payload.content_type,
            "X-Amz-Content-SHA256": digest,
            **self._extra,
        }
        request = AWSRequest("POST", self.url, headers, payload.content)
        SigV4Auth(self._credentials.get_frozen_credentials(), self._service, self._region).add_auth(request)
        return Signed(dict(request.headers.items()), payload.content)


def _path(target: Target) -> str:
    name = quote(target.name, safe="")
    if isinstance(target, EndpointTarget):
        return f"/endpoints/{name}/invocations"
    qualifier = f"?Qualifier={quote(target.qualifier, safe='')}" if target.qualifier else ""
    return f"/2015-03-31/functions/{name}/invocations{qualifier}"
