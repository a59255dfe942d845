"""The checksums of objects: ten algorithms, made while bytes arrive, and how those of parts become an object's."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from awscrt import checksums as crt  # type: ignore[import-untyped]

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.errors import bad_digest, invalid_request

DEFAULT = "CRC64NVME"
FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"


class Digest(Protocol):
    """A running checksum."""

    def update(self, data: bytes) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A CRC with hashlib's interface."""

    def __init__(self, function: Callable[[bytes, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _XXHash:
    """An xxHash with hashlib's interface."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def update(self, data: bytes) -> None:
        self._state.update(data)

    def digest(self) -> bytes:
        return bytes(self._state.finalize())


def _md5() -> Digest:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> Digest:
    return hashlib.sha1(usedforsecurity=False)


_ALGORITHMS: Mapping[str, Callable[[], Digest]] = {
    "CRC32": lambda: _Crc(zlib.crc32, 4),
    "CRC32C": lambda: _Crc(crt.crc32c, 4),
    "CRC64NVME": lambda: _Crc(crt.crc64nvme, 8),
    "SHA1": _sha1,
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": _md5,
    "XXHASH64": lambda: _XXHash(crt.XXHash.new_xxhash64()),
    "XXHASH3": lambda: _XXHash(crt.XXHash.new_xxhash3_64()),
    "XXHASH128": lambda: _XXHash(crt.XXHash.new_xxhash3_128()),
}
_COMBINE: Mapping[str, tuple[Callable[[int, int, int], int], int]] = {
    "CRC32": (crt.combine_crc32, 4),
    "CRC32C": (crt.combine_crc32c, 4),
    "CRC64NVME": (crt.combine_crc64nvme, 8),
}
MEMBERS = {algorithm: f"Checksum{algorithm}" for algorithm in _ALGORITHMS}
_HEADERS = {f"x-amz-checksum-{algorithm.lower()}": algorithm for algorithm in _ALGORITHMS}


def start(algorithm: str) -> Digest:
    """A running checksum of `algorithm`."""
    return _ALGORITHMS[algorithm]()


def encode(digest: bytes) -> str:
    """Base64, as checksums travel."""
    return base64.b64encode(digest).decode()


def given(request: Mapping[str, Any]) -> tuple[str, str] | None:
    """The (algorithm, value) of the one Checksum* member that a request carries; None when it has none."""
    found = [(name, request[member]) for name, member in MEMBERS.items() if request.get(member)]
    if len(found) > 1:
        raise invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    if not found:
        return None
    algorithm, value = found[0]
    if not _is_digest(algorithm, value):
        raise invalid_request(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
    return algorithm, value


def announced(request: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """The algorithm that a body should be digested with: of its header, its trailer, or by name; None when not said."""
    value = given(request)
    if value:
        algorithm = value[0]
        named = request.get("ChecksumAlgorithm")
        if named and named != algorithm:
            raise invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")
        return algorithm
    for name in headers.get("x-amz-trailer", "").lower().split(","):
        if name.strip() in _HEADERS:
            return _HEADERS[name.strip()]
    return request.get("ChecksumAlgorithm")


def verify(algorithm: str, value: str, request: Mapping[str, Any], trailers: Mapping[str, str]) -> None:
    """BadDigest when the caller's checksum, in a header or trailer, is not `value`."""
    expected = request.get(MEMBERS[algorithm]) or trailers.get(f"x-amz-checksum-{algorithm.lower()}")
    if expected is not None and expected != value:
        raise bad_digest(algorithm)


def verify_document(headers: Mapping[str, str], document: bytes) -> None:
    """BadDigest when a request's XML body is not what its Content-MD5 or x-amz-checksum-* header says."""
    md5 = parse_content_md5(headers.get("content-md5"))
    if md5 is not None and md5 != hashlib.md5(document, usedforsecurity=False).digest():
        raise bad_digest("Content-MD5")
    for header, algorithm in _HEADERS.items():
        value = headers.get(header)
        if value is None:
            continue
        if not _is_digest(algorithm, value):
            raise invalid_request(f"Value for {header} header is invalid.")
        digest = start(algorithm)
        digest.update(document)
        if encode(digest.digest()) != value:
            raise bad_digest(algorithm)


def check_type(algorithm: str, kind: str | None) -> str:
    """The ChecksumType of a multipart upload: what was asked for, or the algorithm's default."""
    if kind is None:
        return FULL_OBJECT if algorithm == DEFAULT else COMPOSITE
    allowed = kind == COMPOSITE if algorithm not in _COMBINE else kind == FULL_OBJECT or algorithm != DEFAULT
    if not allowed:
        raise invalid_request(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return kind


def full_object(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """The checksum of the whole from those of its parts, as (value, size): what linear CRCs allow."""
    combine, size = _COMBINE[algorithm]
    total = 0
    for value, length in parts:
        total = combine(total, int.from_bytes(base64.b64decode(value), "big"), length)
    return encode(total.to_bytes(size, "big"))


def composite(algorithm: str, values: list[str]) -> str:
    """The checksum of the parts' checksums, with the number of parts: `BASE64-N`."""
    digest = start(algorithm)
    for value in values:
        digest.update(base64.b64decode(value))
    return f"{encode(digest.digest())}-{len(values)}"


def parse_content_md5(value: str | None) -> bytes | None:
    """The digest of a Content-MD5 header; InvalidDigest when it is none."""
    if value is None:
        return None
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        message = "The Content-MD5 you specified was invalid."
        raise AwsError("InvalidDigest", message, 400, members={"Content-MD5": value})
    return digest


def _is_digest(algorithm: str, value: str) -> bool:
    try:
        digest = base64.b64decode(value.partition("-")[0], validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(digest) == len(start(algorithm).digest())
