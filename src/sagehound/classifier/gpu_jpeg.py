"""Reads files and the headers of those JPEGs that a GPU may decode; runs as a process of its own. Imports no torch.

A process, because threads that read thousands of small files hold up all others of their interpreter: one such reader
gives 80,000 files a second, sixteen threads gave 11,000. It is started by path, so it imports nothing of ours.
Only what the GPU path decodes into the very pixels that Pillow would give is let through: baseline files of one scan,
upright, YCbCr, whole to their last marker. All others are for the CPU, which reads everything.
"""

import array
import mmap
import os
import pickle
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

MIN_SIDE = 16
"""libjpeg enlarges the colour of tiny pictures in another way."""
MAX_PIXELS = 16_000_000
"""Larger pictures are faster on a CPU, where libjpeg shrinks them while it decodes."""

SAMPLINGS = ("", "420", "422", "444")
"""How colour may be stored, by its number in an answer; the first is for files that are for the CPU."""
FIELDS = 5
"""Numbers a file in an answer: offset, length, width, height, number of its sampling."""
SLOW_READ = 500e-6
"""Seconds a file from which several are read at once."""
READERS = 16

_SAMPLINGS: dict[tuple[int, ...], str] = {
    (0x22, 0x11, 0x11): "420",
    (0x21, 0x11, 0x11): "422",
    (0x11, 0x11, 0x11): "444",
}
_BASELINE, _SCAN, _APP1, _APP14 = 0xC0, 0xDA, 0xE1, 0xEE
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {0xC4, 0xC8, 0xCC}
_RGB_IDS = b"RGB"
_ORIENTATION = 0x0112


class JpegHeader(NamedTuple):
    """What the decoder has to know of a file."""

    width: int
    height: int
    sampling: str
    """How the colour is stored: 420 (half in both directions), 422 (half the width) or 444 (whole)."""


def read_header(content: bytes) -> JpegHeader | None:
    """The header of a JPEG file that a GPU may decode; None for every other file."""
    if content[:2] != b"\xff\xd8" or content[-2:] != b"\xff\xd9":
        return None
    header, components, at, end = None, 0, 2, len(content)
    while at + 4 <= end:
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = content[at + 2] << 8 | content[at + 3]
        if marker == _SCAN:
            # One scan with all components: what follows it is the picture.
            return header if header is not None and content[at + 4] == components else None
        segment = at + 4
        if marker == _BASELINE:
            header, components = _frame(content[segment : at + 2 + length])
            if header is None:
                return None
        elif marker in _OTHER_FRAMES:
            return None
        elif marker == _APP1:
            if _is_turned(content[segment : at + 2 + length]):
                return None
        elif marker == _APP14 and content[segment : segment + 5] == b"Adobe" and content[at + 1 + length] != 1:
            return None  # the components are RGB, CMYK or YCCK
        at += 2 + length
    return None


def _frame(segment: bytes) -> tuple[JpegHeader | None, int]:
    if len(segment) < 9 or segment[0] != 8:
        return None, 0
    height, width, components = struct.unpack_from(">HHB", segment, 1)
    sampling = _SAMPLINGS.get(tuple(segment[7 : 6 + 3 * components : 3]))
    names_rgb = components == 3 and segment[6:15:3] == _RGB_IDS
    if sampling is None or names_rgb or min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        return None, 0
    return JpegHeader(width, height, sampling), components


def _is_turned(segment: bytes) -> bool:
    """Whether an APP1 segment may say that the picture has to be turned."""
    if segment[:6] != b"Exif\0\0":
        return b"Orientation" in segment  # XMP
    tiff = segment[6:]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return True
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return bool(value != 1)
    except struct.error:
        return True
    return False


def read_file(path: str) -> bytes:
    """The content of a file; nothing where it cannot be read: who decodes it on the CPU will say why."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        # A read that is cut short has no end marker, and so no header.
        return os.read(file, os.fstat(file).st_size)
    except OSError:
        return b""
    finally:
        os.close(file)


def serve(connection: socket.socket) -> None:
    """Answer each pickled list of paths with the files' numbers and, as a file in memory, their contents."""
    stream, slow = connection.makefile("rb"), False
    with ThreadPoolExecutor(READERS) as pool:
        while True:
            try:
                paths: list[str] = pickle.load(stream)
            except EOFError:
                return
            started = time.perf_counter()
            contents = list(pool.map(read_file, paths) if slow else map(read_file, paths))
            slow = slow or time.perf_counter() - started > SLOW_READ * len(paths)
            numbers, offset = array.array("q"), 0
            for content in contents:
                header = read_header(content)
                known = (header.width, header.height, SAMPLINGS.index(header.sampling)) if header else (0, 0, 0)
                numbers.extend((offset, len(content), *known))
                offset += len(content) if header else 0
            memory = os.memfd_create("pictures")
            try:
                os.ftruncate(memory, max(offset, mmap.PAGESIZE))
                with mmap.mmap(memory, 0) as view:
                    for number, content in enumerate(contents):
                        if numbers[FIELDS * number + 4]:
                            start = numbers[FIELDS * number]
                            view[start : start + len(content)] = content
                answer = numbers.tobytes()
                socket.send_fds(connection, [struct.pack("<Q", len(answer))], [memory])
                connection.sendall(answer)
            finally:
                os.close(memory)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
