"""Forms as they arrive: in any pieces, with anything in the file, broken off anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.form import FormReader

BOUNDARY = "bb"
FIELDS = {"key": "a/${filename}", "x-amz-meta-who": "ü", "empty": ""}


def encode(data: bytes) -> bytes:
    head = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in FIELDS.items()
    )
    file = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="C:\\dir\\my.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return (head + file).encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(body: bytes, size: int) -> tuple[FormReader, bytes]:
    form = FormReader(pieces(body, size), f"multipart/form-data; boundary={BOUNDARY}")
    await form.read_fields()
    return form, b"".join([piece async for piece in form.file()])


@settings(deadline=None)
@given(
    data=st.lists(st.sampled_from([b"\r\n", b"--", b"\r\n--", b"\r\n--b", b"bb", b"\r", b"x" * 50])).map(b"".join),
    size=st.integers(1, 40),
)
async def test_any_file_in_any_pieces(data: bytes, size: int) -> None:
    if f"\r\n--{BOUNDARY}".encode() in data + b"\r\n":
        return
    form, read_back = await read(encode(data), size)
    assert read_back == data
    assert form.fields == FIELDS
    assert (form.file_name, form.file_type) == ("my.jpg", "image/jpeg")


@pytest.mark.parametrize("kept", [0, 5, 60, 200, -8])
async def test_a_form_that_breaks_off(kept: int) -> None:
    with pytest.raises(AwsError, match="MalformedPOSTRequest"):
        await read(encode(b"data")[:kept], 7)


async def test_a_form_without_a_file() -> None:
    body = encode(b"").partition(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"'.encode())[0]
    with pytest.raises(AwsError, match="exactly one file"):
        await read(body + f"--{BOUNDARY}--\r\n".encode(), 7)


async def test_fields_are_limited() -> None:
    body = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="key"\r\n\r\n'.encode() + b"x" * 200_000
    with pytest.raises(AwsError, match="MaxPostPreDataLengthExceeded"):
        await read(body, 1000)
