"""Small pictures for the page: fetched through S3, turned as EXIF says, made small, and written as data URIs"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients

SIDE = 176
"""Longest side in pixels: a thumbnail is shown at up to 160."""
_LARGEST = 64 * 1024 * 1024
_WORKERS = 8
_FOLDERS = {"test": ("test",), "validation": ("valid", "val", "validation")}
_GONE = ("NoSuchKey", "NoSuchBucket", "404", "AccessDenied", "403")
"""S3 says AccessDenied of what is not there to those who may not list the bucket."""


def thumbnails(clients: Clients, data_uri: str, split: str, names: Iterable[str]) -> dict[str, str]:
    """Name -> data URI of a JPEG; a picture that is gone or unreadable is left out."""
    wanted = sorted({name for name in names if name})
    with ThreadPoolExecutor(_WORKERS) as pool:
        uris = list(pool.map(lambda name: _thumbnail(clients, data_uri, split, name), wanted))
    return {name: uri for name, uri in zip(wanted, uris, strict=True) if uri}


def thumbnail(content: bytes) -> str:
    """A picture's bytes as the data URI of a small JPEG; empty where they are no picture."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # A picture of absurd size is refused like any other that cannot be read.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as opened:
                # JPEG decoders can make a large picture small while they read it.
                opened.draft("RGB", (SIDE * 2, SIDE * 2))
                turned = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return ""
    turned.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    turned.save(out, "JPEG", quality=78, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def _thumbnail(clients: Clients, data_uri: str, split: str, name: str) -> str:
    content = _fetch(clients, data_uri, split, name)
    return thumbnail(content) if content else ""


def _fetch(clients: Clients, data_uri: str, split: str, name: str) -> bytes:
    """A picture's bytes; empty where it is gone, or too large for a picture."""
    from botocore.exceptions import ClientError

    bucket, _, prefix = data_uri.removeprefix("s3://").partition("/")
    for folder in _FOLDERS.get(split, (split,)):
        try:
            answer = clients.s3.get_object(Bucket=bucket, Key=f"{prefix.rstrip('/')}/{folder}/{name}")
        except ClientError as error:
            if error_of(error)[0] in _GONE:
                continue
            raise
        content: bytes = answer["Body"].read(_LARGEST + 1)
        return content if len(content) <= _LARGEST else b""
    return b""
