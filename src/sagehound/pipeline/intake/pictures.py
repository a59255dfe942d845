"""Each picture is decoded once, here, before anything is uploaded; the unreadable ones are named.

The whole picture is decoded (a truncated JPEG opens well and fails only at its end) from the bytes that are
hashed, so what is checked is what is sent. Verdicts are remembered by size and modification time.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sagehound.pipeline.intake.decode_cache import DecodeCache, Verdict

# MPO, which many cameras write into a .jpg (a second picture behind the first), is opened by the JPEG decoder.
FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class Limits:
    """The largest picture that is taken: bytes of the file, and pixels once decoded."""

    max_bytes: int
    max_pixels: int


def check_pictures(
    paths: Sequence[Path], limits: Limits, cache: DecodeCache, progress: Callable[[int, int], None]
) -> list[Verdict]:
    """A verdict for each path, in order; files that the cache knows as they are now are not read again."""
    verdicts: dict[int, Verdict] = {}
    todo: list[int] = []
    for position, path in enumerate(paths):
        known = cache.get(path)
        # The limits are settings, not facts about the file: they are asked again of a remembered verdict.
        if known is not None and known.size <= limits.max_bytes and known.pixels <= limits.max_pixels:
            verdicts[position] = known
        else:
            todo.append(position)
    done = len(verdicts)
    progress(done, len(paths))
    Image.init()  # registering the decoders is not safe to do from several threads at once
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        # Pillow's decoders and hashlib leave the interpreter lock, so threads use every core.
        for position, verdict in zip(todo, pool.map(lambda at: check_picture(paths[at], limits), todo), strict=True):
            verdicts[position] = verdict
            cache.put(paths[position], verdict)
            done += 1
            progress(done, len(paths))
    cache.commit()
    return [verdicts[position] for position in range(len(paths))]


def check_picture(path: Path, limits: Limits) -> Verdict:
    """Read, hash and decode one file; ``problem`` of the verdict says what is wrong, or is empty."""
    try:
        before = path.stat()
        if before.st_size > limits.max_bytes:
            return Verdict.unreadable(
                before.st_size, f"{before.st_size / 1e6:,.1f} MB is more than data.max_picture_mb"
            )
        content = path.read_bytes()
    except OSError as error:
        return Verdict.unreadable(0, f"cannot be read: {error.strerror or error}")
    if not content:
        return Verdict.unreadable(0, "is empty")
    pixels, problem = _decode(content, limits)
    return Verdict(
        size=len(content),
        mtime_ns=before.st_mtime_ns,
        sha256=hashlib.sha256(content).hexdigest(),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        pixels=pixels,
        problem=problem,
    )


def _decode(content: bytes, limits: Limits) -> tuple[int, str]:
    """(pixels, problem): problem is empty where every pixel was decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > limits.max_pixels:
                return pixels, f"has {pixels / 1e6:,.1f} megapixels, more than data.max_picture_megapixels"
            image.load()
    except UnidentifiedImageError:
        return 0, f"is no JPEG, PNG or WebP picture ({_kind(content)})"
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        # What Pillow's decoders raise on damaged files: OSError (truncated), SyntaxError (broken PNG), ValueError.
        return 0, f"cannot be decoded: {error}"
    return pixels, ""


_KINDS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"<!DO": "an HTML page",
    b"<htm": "an HTML page",
    b"<svg": "SVG",
    b"%PDF": "PDF",
    b"PK\3\4": "a zip archive",
}


def _kind(content: bytes) -> str:
    if content[4:8] == b"ftyp":
        return "HEIC or AVIF"
    return next((kind for magic, kind in _KINDS.items() if content.startswith(magic)), "of an unknown kind")
