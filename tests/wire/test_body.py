"""Streamed bodies: decoded whatever the pieces they come in, and proven at their end."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import sigv4
from sagehound.localcloud.wire.body import RequestBody
from sagehound.localcloud.wire.payload import ChunkSigning, PayloadCheck
from tests.wire.harness import http_request
from tests.wire.signing import signed

URL = "http://127.0.0.1:4566/bkt/key"


async def content(body: RequestBody) -> bytes:
    return b"".join([piece async for piece in body])


def plain(data: bytes, check: PayloadCheck, **headers: str) -> RequestBody:
    return RequestBody(http_request("PUT", URL, {"content-length": str(len(data)), **headers}, data), check)


def chunked(data: bytes, length: int, check: PayloadCheck, piece: int = 65536) -> RequestBody:
    headers = {"x-amz-decoded-content-length": str(length), "content-encoding": "aws-chunked"}
    return RequestBody(http_request("PUT", URL, headers, data, piece), check)


UNSIGNED = PayloadCheck(chunked=True, trailers=True)


async def test_a_plain_body_matches_its_signed_digest() -> None:
    data = b"picture" * 1000
    right = PayloadCheck(sha256=hashlib.sha256(data).hexdigest())
    assert await content(plain(data, right)) == data
    with pytest.raises(AwsError, match="XAmzContentSHA256Mismatch"):
        await content(plain(data[:-1] + b"X", right))


async def test_a_short_body_is_incomplete() -> None:
    body = RequestBody(http_request("PUT", URL, {"content-length": "8"}, b"1234567"), PayloadCheck())
    assert body.content_length == 8
    with pytest.raises(AwsError, match="IncompleteBody"):
        await content(body)


async def test_a_body_above_the_limit_is_refused() -> None:
    assert await plain(b"12345", PayloadCheck()).read(5) == b"12345"
    with pytest.raises(AwsError) as caught:
        await plain(b"123456", PayloadCheck()).read(5)
    assert caught.value.status == 413
    unannounced = RequestBody(http_request("PUT", URL, {}, b"123456"), PayloadCheck())
    with pytest.raises(AwsError, match="RequestEntityTooLarge"):
        await unannounced.read(5)


async def test_the_trailing_checksum_of_a_real_client_arrives() -> None:
    data = bytes(range(256)) * 1000
    request = signed("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": data}, endpoint="https://127.0.0.1:4566")
    assert request.http().headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    body = RequestBody(request.http(), request.authenticate().payload)
    assert body.content_length == len(data)
    assert await content(body) == data
    checksum = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    assert body.trailers == {"x-amz-checksum-crc32": checksum}


def encoded(data: bytes, size: int, trailer: bytes = b"") -> bytes:
    parts = [b"%x\r\n%s\r\n" % (len(data[at : at + size]), data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join([*parts, b"0\r\n", trailer, b"\r\n"])


@given(data=st.binary(max_size=200), size=st.integers(1, 50), piece=st.integers(1, 70))
async def test_chunks_need_not_meet_the_pieces_they_come_in(data: bytes, size: int, piece: int) -> None:
    wire = encoded(data, size, b"x-amz-checksum-crc32:AAAAAA==\r\n")
    body = chunked(wire, len(data), UNSIGNED, piece)
    assert await content(body) == data
    assert body.trailers == {"x-amz-checksum-crc32": "AAAAAA=="}


@given(data=st.binary(min_size=1, max_size=100), cut=st.integers(1, 40))
async def test_a_cut_off_body_is_never_taken_for_whole(data: bytes, cut: int) -> None:
    wire = encoded(data, 30)
    with pytest.raises(AwsError):
        await content(chunked(wire[: max(0, len(wire) - cut)], len(data), UNSIGNED))


@pytest.mark.parametrize("wire", [b"zz\r\nab\r\n0\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n", b"1\r\na\r\n0\r\n\r\nmore\r\n"])
async def test_bad_framing_is_refused(wire: bytes) -> None:
    with pytest.raises(AwsError, match="InvalidChunkSizeError"):
        await content(chunked(wire, 1, UNSIGNED))


async def test_the_announced_length_counts() -> None:
    with pytest.raises(AwsError, match="IncompleteBody"):
        await content(chunked(encoded(b"abc", 2), 4, UNSIGNED))


class TestSignedChunks:
    """The example of AWS's documentation: 65 KiB of the letter a."""

    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    signatures = (
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    )

    def check(self, trailers: bool = False) -> PayloadCheck:
        signing = ChunkSigning(
            key=sigv4.signing_key(self.secret, "20130524", "us-east-1", "s3"),
            timestamp="20130524T000000Z",
            scope="20130524/us-east-1/s3/aws4_request",
            seed_signature="4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
        return PayloadCheck(chunked=True, trailers=trailers, signing=signing)

    def wire(self, data: bytes = b"a" * 66560, last: str = signatures[2]) -> bytes:
        one, two = data[:65536], data[65536:]
        return (
            f"10000;chunk-signature={self.signatures[0]}\r\n".encode()
            + one
            + f"\r\n400;chunk-signature={self.signatures[1]}\r\n".encode()
            + two
            + f"\r\n0;chunk-signature={last}\r\n\r\n".encode()
        )

    @pytest.mark.parametrize("piece", [1000, 65536, 100000])
    async def test_the_documented_signatures_hold(self, piece: int) -> None:
        assert await content(chunked(self.wire(), 66560, self.check(), piece)) == b"a" * 66560

    @pytest.mark.parametrize("at", [0, 65535, 65536, 66559])
    async def test_a_changed_byte_is_found(self, at: int) -> None:
        data = bytearray(b"a" * 66560)
        data[at] = ord("b")
        with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
            await content(chunked(self.wire(bytes(data)), 66560, self.check()))

    async def test_a_last_chunk_of_somebody_else_is_found(self) -> None:
        with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
            await content(chunked(self.wire(last="0" * 64), 66560, self.check()))

    async def test_trailers_must_be_signed(self) -> None:
        with pytest.raises(AwsError, match="InvalidChunkSizeError"):
            await content(chunked(self.wire(), 66560, self.check(trailers=True)))


async def test_a_body_is_read_once() -> None:
    body: Any = plain(b"x", PayloadCheck())
    await content(body)
    with pytest.raises(RuntimeError):
        await content(body)


@pytest.mark.parametrize("size", ["-6", "+5", "0x5", "5_0", " 5", "", "f" * 16])
async def test_a_chunk_size_is_hexadecimal_digits_and_nothing_else(size: str) -> None:
    """A negative one led back to the line break before it, and the same header was read again for ever."""
    body = chunked(b"5\r\nhello\r\n" + size.encode() + b"\r\nhello\r\n0\r\n\r\n", 10, UNSIGNED)
    with pytest.raises(AwsError, match="no chunk size"):
        await content(body)


async def test_trailers_end() -> None:
    data = b"5\r\nhello\r\n0\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(100)) + b"\r\n"
    with pytest.raises(AwsError, match="too many trailers"):
        await content(chunked(data, 5, UNSIGNED))


def test_a_length_of_five_thousand_digits_is_none() -> None:
    with pytest.raises(AwsError, match="is not a number"):
        RequestBody(http_request("PUT", URL, {"x-amz-decoded-content-length": "5" * 5000}, b""), UNSIGNED)
