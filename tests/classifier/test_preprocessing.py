"""Any colour mode, orientation and size becomes the same kind of pixels; what cannot is named."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sagehound.classifier.preprocessing import (
    MAX_PIXELS,
    Preprocessing,
    UnreadablePicture,
    decode,
    open_picture,
    prepare,
)
from tests.classifier.pictures import encoded, shape

SMALL = Preprocessing(32)


def pixels_of(content: bytes, preprocessing: Preprocessing = SMALL) -> np.ndarray:
    return prepare(open_picture(content), preprocessing)


def flat(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (50, 40), colour)


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        (encoded(flat("L", 100), "JPEG", quality=100), (100, 100, 100)),
        (encoded(flat("L", 100), "PNG"), (100, 100, 100)),
        (encoded(flat("1", 1), "PNG"), (255, 255, 255)),
        (encoded(flat("LA", (100, 255)), "PNG"), (100, 100, 100)),
        (encoded(flat("RGBA", (10, 200, 30, 255)), "PNG"), (10, 200, 30)),
        (encoded(flat("RGBA", (10, 200, 30, 0)), "PNG"), (255, 255, 255)),
        (encoded(flat("RGBA", (10, 200, 30, 255)), "WEBP", lossless=True), (10, 200, 30)),
        (encoded(flat("RGB", (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE), "PNG"), (10, 200, 30)),
        (encoded(flat("CMYK", (0, 255, 255, 0)), "JPEG", quality=100), (255, 0, 0)),
        (encoded(flat("I;16", 100 * 257), "PNG"), (100, 100, 100)),
        (encoded(flat("I", 100 * 257), "TIFF"), (100, 100, 100)),
        (encoded(flat("F", 0.5), "TIFF"), (128, 128, 128)),
    ],
    ids=[
        "grey-jpeg",
        "grey-png",
        "1-bit",
        "LA",
        "RGBA",
        "see-through",
        "webp",
        "P",
        "CMYK",
        "16-bit",
        "32-bit",
        "float",
    ],
)
def test_any_colour_mode_becomes_rgb(content: bytes, colour: tuple[int, int, int]) -> None:
    pixels = pixels_of(content)
    assert pixels.shape == (3, 32, 32)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(pixels.mean((1, 2)), colour, atol=3)


def test_transparency_of_a_palette_becomes_white() -> None:
    picture = flat("P", 0)
    picture.putpalette([200, 10, 10, 10, 200, 10])
    np.testing.assert_allclose(pixels_of(encoded(picture, "PNG", transparency=0)).mean((1, 2)), 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_orientation_says(orientation: int) -> None:
    upright = shape("red_disc", 3, (64, 64))
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = decode(open_picture(encoded(stored, "PNG", exif=exif)))
    assert np.array_equal(np.asarray(turned), np.asarray(upright))


def test_a_large_jpeg_is_decoded_small_and_nearly_the_same() -> None:
    content = encoded(shape("green_ring", 1, (1600, 1200)), quality=95)
    assert min(decode(open_picture(content), 200).size) == 300
    whole = decode(open_picture(content)).crop((200, 0, 1400, 1200)).resize((200, 200), Image.Resampling.BICUBIC)
    reduced = prepare(open_picture(content), Preprocessing(200))
    assert np.abs(reduced - np.asarray(whole, dtype=np.float32).transpose(2, 0, 1)).mean() < 3


def test_a_phones_photograph_is_reduced_and_turned() -> None:
    """A large JPEG on its side: the left half of what is stored is the upper half of what is seen."""
    stored = Image.new("RGB", (1600, 1200), (255, 0, 0))
    stored.paste((0, 0, 255), (0, 0, 800, 1200))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = pixels_of(encoded(stored, exif=exif), Preprocessing(100))
    np.testing.assert_allclose(pixels[:, :45].mean((1, 2)), (0, 0, 255), atol=4)
    np.testing.assert_allclose(pixels[:, 55:].mean((1, 2)), (255, 0, 0), atol=4)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 2)])
def test_a_tiny_or_narrow_picture_fills_the_square(size: tuple[int, int]) -> None:
    pixels = pixels_of(encoded(Image.new("RGB", size, (10, 20, 30)), "PNG"))
    np.testing.assert_allclose(pixels.mean((1, 2)), (10, 20, 30))


def test_the_centre_square_is_what_is_seen() -> None:
    picture = Image.new("RGB", (300, 100), (255, 0, 0))
    picture.paste((0, 0, 255), (100, 0, 200, 100))
    np.testing.assert_allclose(pixels_of(encoded(picture, "PNG")).mean((1, 2)), (0, 0, 255), atol=12)
    assert pixels_of(encoded(picture, "PNG"), Preprocessing(32, crop_fraction=0.5)).mean((1, 2))[0] == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_named(kind: str, tmp_path: Path) -> None:
    content = encoded(shape("red_disc", 2), kind)
    path = tmp_path / "half.picture"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadablePicture, match=r"half\.picture is not a readable picture"):
        prepare(open_picture(path), SMALL)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadablePicture, match="the body is not a readable picture"):
        pixels_of(content)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = int(MAX_PIXELS**0.5) + 1
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(UnreadablePicture, match="pixels"):
        open_picture(bomb)


def test_preprocessing_survives_the_trip_through_the_file() -> None:
    assert Preprocessing.from_json(Preprocessing(240, 0.875, "bilinear").to_json()) == Preprocessing(
        240, 0.875, "bilinear"
    )


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [flat("RGB", (255, 0, 0)), flat("RGB", (0, 0, 255))]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(pixels_of(buffer.getvalue()).mean((1, 2)), (255, 0, 0), atol=3)
