"""The GPU's path from files to pixels: the same arithmetic on the CPU agrees with libjpeg and Pillow."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sagehound.classifier.dataset import Picture
from sagehound.classifier.extractors import load_pixels
from sagehound.classifier.gpu_augment import crop_boxes, draws, random_views
from sagehound.classifier.gpu_decode import CANVAS_PIXELS, Decoded, Pipeline, by_canvas
from sagehound.classifier.gpu_features import GpuExtractor, _viewed
from sagehound.classifier.gpu_jpeg import JpegHeader, read_header
from sagehound.classifier.gpu_lite import FusedLite
from sagehound.classifier.gpu_nvjpeg import NvJpegDecoder
from sagehound.classifier.gpu_pixels import centre_boxes, resample, to_rgb
from sagehound.classifier.gpu_reader import Files
from sagehound.classifier.network import create_backbone
from sagehound.classifier.preprocessing import Preprocessing, UnreadablePicture, fit_square, to_pixels
from tests.classifier.pictures import encoded

CPU = torch.device("cpu")


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with edges, at any size."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (height // 9 + 2, width // 7 + 2, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def planes(content: bytes, subsampled: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The planes [1, H, W] of a JPEG as they are stored.

    At half the size libjpeg gives colour that is stored at half the size as it is, without enlarging it.
    """
    whole = Image.open(io.BytesIO(content))
    whole.draft("YCbCr", whole.size)
    y, cb, cr = (np.asarray(channel) for channel in whole.split())
    if subsampled:
        half = Image.open(io.BytesIO(content))
        half.draft("YCbCr", (half.width // 2, half.height // 2))
        _, cb, cr = (np.asarray(channel) for channel in half.split())
    return tuple(torch.from_numpy(plane.copy())[None] for plane in (y, cb, cr))  # type: ignore[return-value]


def on_canvas(pictures: list[Image.Image]) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 canvas [N, 3, H, W] full of noise beyond the pictures, and their sizes [N, 2]."""
    height, width = max(p.height for p in pictures) + 5, max(p.width for p in pictures) + 3
    canvas = np.random.default_rng(1).integers(0, 256, (len(pictures), 3, height, width), dtype=np.uint8)
    for row, picture in enumerate(pictures):
        canvas[row, :, : picture.height, : picture.width] = to_pixels(picture)
    return torch.from_numpy(canvas), torch.tensor([p.size for p in pictures], dtype=torch.int32)


@pytest.mark.parametrize(("sampling", "option"), [("420", "4:2:0"), ("444", "4:4:4")])
@pytest.mark.parametrize("size", [(64, 48), (226, 130), (90, 222)])
def test_planes_become_the_pixels_that_libjpeg_gives(sampling: str, option: str, size: tuple[int, int]) -> None:
    content = encoded(photograph(*size), quality=88, subsampling=option)
    luma, blue, red = planes(content, subsampled=sampling == "420")
    rgb = to_rgb(luma, blue, red, torch.tensor([size], dtype=torch.int32), sampling)
    assert np.array_equal(rgb[0].numpy(), to_pixels(Image.open(io.BytesIO(content)).convert("RGB")))


def test_pictures_of_many_sizes_on_one_canvas_keep_their_edges() -> None:
    sizes = [(64, 48), (51, 77), (80, 33)]
    contents = [encoded(photograph(*size), quality=88, subsampling="4:2:0") for size in sizes]
    luma, blue, red = (torch.full((3, 78 // step, 80 // step), 99, dtype=torch.uint8) for step in (1, 2, 2))
    for row, (content, (width, height)) in enumerate(zip(contents, sizes, strict=True)):
        y, cb, cr = planes(content, subsampled=True)
        luma[row, :height, :width] = y[0]
        blue[row, : cb.shape[1], : cb.shape[2]] = cb[0]
        red[row, : cr.shape[1], : cr.shape[2]] = cr[0]
    rgb = to_rgb(luma, blue, red, torch.tensor(sizes, dtype=torch.int32), "420")
    for row, (content, (width, height)) in enumerate(zip(contents, sizes, strict=True)):
        expected = to_pixels(Image.open(io.BytesIO(content)).convert("RGB"))
        assert np.array_equal(rgb[row, :, :height, :width].numpy(), expected), sizes[row]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875])
def test_resampling_a_batch_agrees_with_pillow(interpolation: str, crop_fraction: float) -> None:
    preprocessing = Preprocessing(96, crop_fraction, interpolation)
    pictures = [photograph(w, h, w) for w, h in ((96, 96), (300, 200), (120, 117), (50, 40), (640, 427), (150, 290))]
    canvas, sizes = on_canvas(pictures)
    found = resample(canvas, sizes, centre_boxes(sizes, crop_fraction), 96, interpolation).numpy()
    expected = np.stack([to_pixels(fit_square(picture, preprocessing)) for picture in pictures])
    difference = np.abs(found - expected)
    # The last one is tall: Pillow may take its passes in the other order, which moves a level here and there.
    assert difference[:-1].mean() < 0.01
    assert difference.max() <= 2
    assert difference.mean() < 0.06


@pytest.mark.parametrize("view", [0, 1, 2, 3])
def test_a_view_of_a_picture_is_the_same_on_both_paths(view: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"  # stored whole, so that no JPEG is decoded at a reduced size on one of the paths
    photograph(180, 140).save(path)
    picture = Picture(path, "class/a.png", 0, view)
    preprocessing = Preprocessing(64)
    canvas, sizes = on_canvas([photograph(180, 140)])
    group = Decoded(np.array([0]), canvas, sizes.numpy(), sizes)
    found = _viewed(group, [picture], preprocessing)[0].numpy().astype(np.float32)
    assert np.abs(found - load_pixels(picture, preprocessing)).max() <= 2


def test_headers_of_what_the_gpu_decodes() -> None:
    picture = photograph(70, 50)
    for option, sampling in (("4:2:0", "420"), ("4:2:2", "422"), ("4:4:4", "444")):
        assert read_header(encoded(picture, subsampling=option)) == JpegHeader(70, 50, sampling)
    assert read_header(encoded(picture, comment=b"\xff" * 300)) == JpegHeader(70, 50, "420")


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(photograph(70, 50), exif=exif.tobytes())


def test_an_upright_picture_with_exif_is_for_the_gpu_and_a_turned_one_is_not() -> None:
    assert read_header(_turned(1)) == JpegHeader(70, 50, "420")
    assert read_header(_turned(6)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff\xd9",
        encoded(photograph(70, 50), "PNG"),
        encoded(photograph(70, 50), progressive=True),
        encoded(photograph(70, 50).convert("CMYK")),
        encoded(photograph(70, 50).convert("L")),
        encoded(photograph(70, 50), keep_rgb=True),
        encoded(photograph(70, 50), xmp=b'<x xmlns:tiff="t" tiff:Orientation="6"/>'),
        encoded(photograph(70, 12)),
        encoded(photograph(70, 50))[:-2],
        encoded(photograph(70, 50))[:300] + b"\xff\xd9",
    ],
    ids=["empty", "nothing", "png", "progressive", "cmyk", "grey", "rgb", "xmp", "tiny", "cut", "cut in the tables"],
)
def test_headers_of_what_is_for_the_cpu(content: bytes) -> None:
    assert read_header(content) is None


def test_the_folded_network_is_the_network() -> None:
    backbone = create_backbone("efficientnet_lite0")
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (2, 3, 224, 224)).astype(np.float32))
    with torch.inference_mode():
        expected = backbone(pixels)
    found = FusedLite(backbone, CPU, torch.float32)(pixels)
    assert torch.allclose(found, expected, atol=1e-4)


def test_features_come_in_order_whatever_the_pictures_are(shapes: Path) -> None:
    paths = sorted(shapes.rglob("*.jpg"))[:7]
    pictures = [Picture(path, path.name, 0, view) for path in paths for view in (0, 1)]
    backbone = create_backbone("efficientnet_lite0")
    found = GpuExtractor(backbone, CPU).rows(pictures)
    with torch.inference_mode():
        expected = backbone(
            torch.from_numpy(np.stack([load_pixels(p, backbone.preprocessing) for p in pictures]))
        ).numpy()
    assert np.abs(found - expected).max() < 1e-4


def test_a_damaged_picture_is_named(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(sorted(shapes.rglob("*.jpg"))[0].read_bytes()[:200])
    picture = Picture(tmp_path / "bad.jpg", "bad.jpg", 0)
    with pytest.raises(UnreadablePicture, match=r"bad\.jpg"):
        GpuExtractor(create_backbone("efficientnet_lite0"), CPU).rows([picture])


def test_the_pipeline_reads_all_files_and_keeps_the_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03}.jpg" for number in range(50)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(photograph(20 + number, 40)))
    paths[7].write_bytes(b"no picture")
    paths[30].unlink()
    batches = [paths[start : start + 3] for start in range(0, 50, 3)]

    def contents(number: int, files: Files, decoder: NvJpegDecoder | None) -> list[bytes]:
        assert decoder is None
        return [files.memory[at : at + length].tobytes() if kind else b"" for at, length, _, _, kind in files.numbers]

    for _ in range(2):
        seen = [content for batch in Pipeline(CPU, contents).run(batches) for content in batch]
        for number, (path, content) in enumerate(zip(paths, seen, strict=True)):
            assert content == (b"" if number in (7, 30) else path.read_bytes())


def test_what_fails_in_the_pipeline_is_raised_and_the_pipeline_can_be_used_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    batches = [[tmp_path / "a"]] * 20

    def fail(number: int, files: Files, decoder: NvJpegDecoder | None) -> int:
        if number == 5:
            raise ValueError("batch five")
        return number

    seen = []
    with pytest.raises(ValueError, match="batch five"):
        for number in Pipeline(CPU, fail).run(batches):
            seen.append(number)
    assert seen == [0, 1, 2, 3, 4]
    assert list(Pipeline(CPU, lambda number, files, decoder: number).run(batches)) == list(range(20))


def test_a_pipeline_that_nobody_empties_ends(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    before = threading.active_count()
    running = Pipeline(CPU, lambda number, files, decoder: number).run([[tmp_path / "a"]] * 30)
    assert next(running) == 0
    running.close()
    assert threading.active_count() == before


def test_pictures_of_like_size_share_a_canvas_and_none_is_too_large() -> None:
    chance = np.random.default_rng(0)
    numbers = np.zeros((300, 5), dtype=np.int64)
    numbers[:, 2:4] = chance.integers(16, 4000, (300, 2))
    places = np.arange(0, 300, 2)
    groups = list(by_canvas(numbers, places))
    assert sorted(np.concatenate(groups)) == places.tolist()
    canvases = [numbers[group, 2].max() * numbers[group, 3].max() * len(group) for group in groups]
    assert max(canvases) <= CANVAS_PIXELS
    assert len(groups) < 80
    numbers[:, 2:4] = 224
    assert [group.tolist() for group in by_canvas(numbers, places)] == [places.tolist()]


def test_a_random_view_depends_on_seed_epoch_and_picture_alone() -> None:
    few, many = draws(3, seed=5, epoch=2), draws(9, seed=5, epoch=2)
    assert np.array_equal(few, many[:3])
    assert not np.array_equal(few, draws(3, seed=5, epoch=3))
    assert not np.array_equal(few, draws(3, seed=6, epoch=2))


def test_random_crops_keep_area_and_shape_and_stay_inside() -> None:
    sizes = np.tile(np.array([[640, 480]], dtype=np.int32), (2000, 1))
    boxes = crop_boxes(sizes, draws(2000, 0, 0))
    width, height = (boxes[:, 2] - boxes[:, 0]) * 640, (boxes[:, 3] - boxes[:, 1]) * 480
    share, ratio = width * height / (640 * 480), width / height
    assert boxes.min() >= 0
    assert boxes.max() <= 1 + 1e-6
    assert share.min() >= 0.349
    assert share.max() <= 1.001
    assert share.std() > 0.1
    assert ratio.min() >= 0.749
    assert ratio.max() <= 1.334


def test_a_picture_too_long_for_any_crop_shows_its_centre_square() -> None:
    boxes = crop_boxes(np.array([[1000, 100]], dtype=np.int32), draws(1, 0, 0))
    assert boxes[0].tolist() == pytest.approx([0.45, 0.0, 0.55, 1.0])


def test_random_views_show_the_crop_mirrored_or_not_in_their_light() -> None:
    picture = photograph(120, 90)
    canvas, stored = on_canvas([picture])
    sizes = np.array([picture.size], dtype=np.int32)
    chance: NDArray[np.float32] = draws(1, 3, 0)
    chance[:, -4] = 0.9  # not mirrored
    chance[:, -3:] = 0.5  # the light as it is
    box = crop_boxes(sizes, chance)[0] * np.array([120, 90, 120, 90])
    expected = to_pixels(picture.resize((64, 64), Image.Resampling.BICUBIC, box=tuple(box.tolist())))
    view = random_views(canvas, stored, sizes, chance, 64)[0].numpy()
    assert np.abs(view - expected).mean() < 0.1
    chance[:, -4] = 0.1
    mirrored = random_views(canvas, stored, sizes, chance, 64)[0].numpy()
    assert np.abs(mirrored - view[:, :, ::-1]).max() < 0.01
    chance[:, -3:] = (0.0, 0.5, 0.5)  # darker by a fifth
    darker = random_views(canvas, stored, sizes, chance, 64)[0].numpy()
    assert darker.mean() == pytest.approx(0.8 * view.mean(), rel=1e-3)
