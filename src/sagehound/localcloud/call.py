"""What an operation is told about its request beside its parameters: who calls, where, and the raw HTTP message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Request = dict[str, Any]
Response = dict[str, Any]
Operation = Callable[["Call", Request], "Response | Awaitable[Response]"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated principal, as GetCallerIdentity tells it."""

    arn: str
    user_id: str
    account_id: str
    access_key_id: str
    is_root: bool = False
    session: dict[str, Any] = field(default_factory=dict)
    """Of temporary credentials: RoleArn, RoleSessionName, Policy, PolicyArns, Tags, SourceIdentity; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What authentication needs to know of an access key: its secret, whose it is, and until when."""

    access_key_id: str
    secret_access_key: str
    caller: Caller
    session_token: str | None = None
    expiration: float | None = None


class CredentialSource(Protocol):
    """Finds access keys: the root key, IAM users' keys, STS sessions."""

    def find(self, access_key_id: str) -> Credential | None: ...


@dataclass(slots=True)
class HttpRequest:
    """The HTTP message as it arrived. `headers` have lower-case names; `raw_path` is still percent-encoded."""

    method: str
    raw_path: str
    query_string: str
    headers: dict[str, str]
    scheme: str
    client: str
    receive: Callable[[], AsyncIterator[bytes]]
    """The body in chunks, undecoded; may be iterated once."""


class Body(Protocol):
    """A request body that is read by its operation: decoded from aws-chunked, its digests checked at the end."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    @property
    def content_length(self) -> int | None: ...

    @property
    def trailers(self) -> dict[str, str]: ...

    async def read(self, limit: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class FileRange:
    """A response body that is a piece of a file: sent without reading it into memory first."""

    path: Path
    offset: int
    length: int


@dataclass(slots=True)
class Call:
    """One AWS call on its way to an operation."""

    service: str
    operation: str
    region: str
    account_id: str
    caller: Caller
    request_id: str
    http: HttpRequest
    body: Body | None = None
    """Set for operations that stream their input (PutObject, UploadPart, InvokeEndpoint); None otherwise."""
    document: bytes = b""
    """The body of an operation that does not stream, as it arrived: what its checksums are about."""
    resource: str = "*"
    """The ARN that the record of this call names; an operation sets it when it knows it."""
    response_headers: dict[str, str] = field(default_factory=dict)
    """Extra headers that the answer carries beside the modelled ones."""
    authorised: list[dict[str, str]] = field(default_factory=list)
    """What IAM was asked about this call, and which statement of which policy decided; the record tells it."""
    status: int | None = None
    """An HTTP status other than the modelled one (206 for a range, 304)."""


class Service(Protocol):
    """An AWS service as the gateway sees it: its botocore name and its operations by AWS's names."""

    name: str

    @property
    def operations(self) -> dict[str, Operation]: ...


def operations_of(*resources: object) -> dict[str, Operation]:
    """The operations of resource objects: every public method whose name starts with a capital, as AWS's names do."""
    found: dict[str, Operation] = {}
    for resource in resources:
        for name in dir(resource):
            if name[0].isupper() and callable(getattr(resource, name)):
                if name in found:
                    raise ValueError(f"operation {name} is defined twice")
                found[name] = getattr(resource, name)
    return found
