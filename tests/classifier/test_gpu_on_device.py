"""What only a GPU can show: its decoder, kernels and recorded steps are right; collected where there is one"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sagehound.classifier.dataset import Picture, read_split
from sagehound.classifier.distributed import Group
from sagehound.classifier.extractors import load_pixels
from sagehound.classifier.gpu_decode import CANVAS_PIXELS, Lane, decode
from sagehound.classifier.gpu_examples import GpuExamples
from sagehound.classifier.gpu_features import BATCH, GpuExtractor
from sagehound.classifier.gpu_pixels import to_rgb
from sagehound.classifier.gpu_steps import GpuSteps
from sagehound.classifier.network import Classifier, Head, create_backbone
from sagehound.classifier.preprocessing import Preprocessing
from tests.classifier.pictures import CLASSES, encoded
from tests.classifier.test_gpu_pictures import photograph

GPU = torch.device("cuda", 0)


def decoded(paths: list[Path]) -> tuple[dict[int, np.ndarray], list[int]]:  # type: ignore[type-arg]
    """What the GPU makes of files, by place, and the places that it leaves to the CPU."""
    lane = Lane(GPU)
    try:
        lane.reader.ask(paths)
        files = lane.reader.take()
        groups, rest = decode(files, lane.decoder)
        torch.cuda.synchronize()
        pixels = {}
        for group in groups:
            for row, (place, (width, height)) in enumerate(zip(group.places, group.sizes, strict=True)):
                pixels[int(place)] = group.rgb[row, :, :height, :width].cpu().numpy()
        return pixels, [int(place) for place in rest]
    finally:
        lane.close()


def test_pictures_of_any_size_and_sampling_decode_to_the_bit(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    paths = []
    for number in range(60):
        width, height = (int(side) for side in chance.integers(16, 700, 2))
        picture = photograph(width, height, number)
        sampling = ("4:2:0", "4:4:4", "4:2:2")[number % 3]
        content = encoded(picture, quality=85, subsampling=sampling)
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(content)
    found, rest = decoded(paths)
    assert not rest
    for place, path in enumerate(paths):
        expected = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1).astype(int)
        assert np.abs(found[place] - expected).max() <= 1, path
        assert (found[place] == expected).mean() > 0.999, path


def test_colours_on_the_gpu_are_those_of_the_cpu() -> None:
    chance = np.random.default_rng(1)
    for sampling, down, across in (("420", 2, 2), ("422", 1, 2), ("444", 1, 1)):
        shape = (3, 50, 70)
        luma = torch.from_numpy(chance.integers(0, 256, shape, dtype=np.uint8))
        small = (3, 50 // down, 70 // across)
        blue, red = (torch.from_numpy(chance.integers(0, 256, small, dtype=np.uint8)) for _ in range(2))
        sizes = torch.tensor([[70, 50], [33, 50], [70, 21]], dtype=torch.int32)
        here = to_rgb(luma, blue, red, sizes, sampling)
        there = to_rgb(luma.to(GPU), blue.to(GPU), red.to(GPU), sizes.to(GPU), sampling).cpu()
        for row, (width, height) in enumerate(sizes.tolist()):
            assert torch.equal(here[row, :, :height, :width], there[row, :, :height, :width]), (sampling, row)


def test_a_damaged_file_does_not_harm_its_batch(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    good = encoded(photograph(200, 150), quality=85)
    paths = []
    for number in range(24):
        content = bytearray(good)
        if number % 4 == 3:  # noise in the middle, the end marker in place
            content[400 : len(content) - 2] = chance.integers(0, 255, len(content) - 402, dtype=np.uint8).tobytes()
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(bytes(content))
    found, rest = decoded(paths)
    expected = np.asarray(Image.open(paths[0]).convert("RGB")).transpose(2, 0, 1)
    for place in range(24):
        if place % 4 != 3 and place not in rest:
            assert np.array_equal(found[place], expected), place
    again, _ = decoded(paths[:3])
    assert all(np.array_equal(pixels, expected) for pixels in again.values())


def test_pictures_beyond_one_canvas_are_decoded_in_parts(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(encoded(photograph(2400, 1800), quality=80))
    (tmp_path / "small.jpg").write_bytes(encoded(photograph(120, 90), quality=80))
    paths = [tmp_path / "large.jpg", tmp_path / "small.jpg"] * 6
    assert CANVAS_PIXELS < 6 * 2400 * 1800
    found, rest = decoded(paths)
    assert not rest
    assert {pixels.shape for pixels in found.values()} == {(3, 1800, 2400), (3, 90, 120)}
    assert all(np.array_equal(found[place], found[place % 2]) for place in found)


def test_features_agree_with_full_precision_on_the_pixels_that_are_served(tmp_path: Path) -> None:
    paths = []
    for number in range(BATCH + 40):
        paths.append(tmp_path / f"{number}.{'png' if number % 50 == 7 else 'jpg'}")
        size = (224, 224) if number < BATCH else (180 + number, 230)
        picture = photograph(*size, number)
        paths[-1].write_bytes(encoded(picture, "PNG") if number % 50 == 7 else encoded(picture, quality=90))
    pictures = [Picture(path, path.name, 0, view=number % 4) for number, path in enumerate(paths)]
    backbone = create_backbone("efficientnet_lite0")
    extractor = GpuExtractor(backbone, GPU)
    found = torch.from_numpy(extractor.rows(pictures))
    assert torch.equal(found, torch.from_numpy(extractor.rows(pictures)))
    precise = create_backbone("efficientnet_lite0").to(GPU)
    torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        pixels = [torch.from_numpy(load_pixels(picture, backbone.preprocessing)) for picture in pictures]
        expected = torch.cat([precise(torch.stack(part).to(GPU)) for part in (pixels[:148], pixels[148:])]).cpu()
    assert torch.cosine_similarity(found, expected).min() > 0.999
    assert (found - expected).norm() / expected.norm() < 0.01


def test_kept_pictures_are_those_that_are_served(shapes: Path) -> None:
    split = read_split("train", shapes / "train", CLASSES)
    examples = GpuExamples(split, Preprocessing(64), GPU)
    order = np.arange(len(split.pictures), dtype=np.int64)
    for _ in range(2):
        pixels = torch.cat([part for part, _ in examples.batches([order[:5], order[5:]], 0)]).cpu().numpy()
        expected = np.stack([load_pixels(picture, Preprocessing(64)) for picture in split.pictures])
        assert np.abs(pixels - expected).max() <= 2
        assert np.abs(pixels - expected).mean() < 0.1


def test_views_on_the_gpu_are_those_of_the_cpu(shapes: Path) -> None:
    split = read_split("train", shapes / "train", CLASSES)
    order = np.arange(len(split.pictures), dtype=np.int64)
    here, there = (
        next(iter(GpuExamples(split, Preprocessing(64), device, augment_seed=3).batches([order], 1)))[0].float().cpu()
        for device in (torch.device("cpu"), GPU)
    )
    assert (here - there).abs().mean() < 0.5
    assert (here - there).abs().max() < 8


def test_recorded_steps_train_as_the_plain_loop_does() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(44, 16, device=GPU), torch.randint(0, 3, (44,), device=GPU)
    plain = Head(16, 3).to(GPU)
    fast = Head(16, 3).to(GPU)
    fast.load_state_dict(plain.state_dict())
    optimizers = [torch.optim.AdamW(head.parameters(), lr=0.05, fused=True) for head in (plain, fast)]
    steps = GpuSteps(fast, optimizers[1], Group(device=GPU))
    for start in (0, 16, 32, 0, 16, 32):  # the third of each epoch is smaller
        x, y = features[start : start + 16], labels[start : start + 16]
        loss = torch.nn.functional.cross_entropy(plain(x), y)
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        loss_sum, _ = steps(x, y, len(y))
        assert torch.allclose(loss_sum, loss.detach() * len(y), atol=1e-4)
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_network_learns_in_mixed_precision(shapes: Path) -> None:
    torch.manual_seed(0)
    split = read_split("train", shapes / "train", CLASSES)
    backbone = create_backbone("efficientnet_lite0")
    classifier = Classifier(backbone, Head(backbone.feature_count, len(CLASSES))).to(GPU)
    classifier.backbone.unfreeze()
    classifier.train()
    steps = GpuSteps(classifier, torch.optim.AdamW(classifier.parameters(), lr=3e-4), Group(device=GPU))
    examples = GpuExamples(split, backbone.preprocessing, GPU, augment_seed=0)
    order = np.arange(len(split.pictures), dtype=np.int64)
    losses = [
        float(steps(pixels, labels, len(labels))[0]) / len(labels)
        for epoch in range(12)
        for pixels, labels in examples.batches([order], epoch)
    ]
    assert losses[0] > 0.9
    assert losses[-1] < 0.3 * losses[0]
