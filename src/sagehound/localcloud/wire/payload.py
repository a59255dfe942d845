"""What the signature says of the body: checked at once when the body is there, or at its end when it streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sagehound.localcloud.errors import AwsError

UNSIGNED = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING = frozenset({UNSIGNED_TRAILER, SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER})
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True, slots=True)
class ChunkSigning:
    """What the signatures of aws-chunked chunks are computed with."""

    key: bytes
    timestamp: str
    scope: str
    seed_signature: str


@dataclass(frozen=True, slots=True)
class PayloadCheck:
    """How the body proves itself; the default asks for nothing."""

    sha256: str | None = None
    """The signed digest of a plain body."""
    chunked: bool = False
    """The body is aws-chunked."""
    trailers: bool = False
    signing: ChunkSigning | None = None
    """Set when each chunk carries a signature."""
    at_end: Callable[[str], None] | None = None
    """Called with the body's SHA-256: for services that sign the digest without sending it; raises AwsError."""


def mismatch(declared: str, computed: str) -> AwsError:
    """The body is not the one whose digest was signed."""
    return AwsError(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        members={"ClientComputedContentSHA256": declared, "S3ComputedContentSHA256": computed},
    )
