"""Training on a GPU's path: pictures kept in memory, and steps that are those of the plain loop."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sagehound.classifier.dataset import read_split
from sagehound.classifier.distributed import Group
from sagehound.classifier.extractors import load_pixels
from sagehound.classifier.gpu_examples import GpuExamples, fits_in_memory, side_of
from sagehound.classifier.gpu_steps import GpuSteps
from sagehound.classifier.network import Head
from sagehound.classifier.preprocessing import Preprocessing
from tests.classifier.pictures import CLASSES

CPU = torch.device("cpu")


def test_kept_pictures_without_a_seed_are_those_that_are_served(shapes: Path) -> None:
    split = read_split("validation", shapes / "valid", CLASSES)
    examples = GpuExamples(split, Preprocessing(64), CPU)
    slices = [np.array([3, 1], dtype=np.int64), np.array([], dtype=np.int64), np.array([5, 0, 2], dtype=np.int64)]
    for _ in range(2):
        batches = list(examples.batches(slices, 0))
        for indices, (pixels, labels) in zip(slices, batches, strict=True):
            expected = [load_pixels(split.pictures[index], Preprocessing(64)) for index in indices]
            assert np.array_equal(pixels.numpy(), np.array(expected).reshape(-1, 3, 64, 64))
            assert labels.tolist() == split.labels[indices].tolist()


def test_pictures_are_kept_where_an_evaluation_in_inference_mode_made_the_place_for_them(shapes: Path) -> None:
    split = read_split("validation", shapes / "valid", CLASSES)
    with torch.inference_mode():
        examples = GpuExamples(split, Preprocessing(64), CPU)
        order = np.arange(len(split.pictures), dtype=np.int64)
        [(pixels, _)] = examples.batches([order], 0)
    expected = np.array([load_pixels(picture, Preprocessing(64)) for picture in split.pictures])
    assert np.array_equal(pixels.numpy(), expected)


def test_random_views_are_the_same_for_a_seed_and_an_epoch_in_any_order(shapes: Path) -> None:
    split = read_split("train", shapes / "train", CLASSES)
    first, second = (GpuExamples(split, Preprocessing(64), CPU, augment_seed=4) for _ in range(2))
    order = np.arange(len(split.pictures), dtype=np.int64)
    forwards = torch.cat([pixels for pixels, _ in first.batches([order[:10], order[10:]], 1)])
    backwards = torch.cat([pixels for pixels, _ in second.batches([order[::-1].copy()], 1)])
    assert torch.equal(forwards, backwards.flip(0))
    other = torch.cat([pixels for pixels, _ in first.batches([order], 2)])
    assert not torch.equal(forwards, other)
    assert forwards.min() >= 0
    assert forwards.max() <= 255


def test_a_picture_larger_than_the_canvas_is_kept_smaller(tmp_path: Path, shapes: Path) -> None:
    split = read_split("train", shapes / "train", CLASSES)  # 96 x 80 pixels
    small = GpuExamples(split, Preprocessing(32), CPU, augment_seed=0)
    large = GpuExamples(split, Preprocessing(96), CPU, augment_seed=0)
    order = np.arange(4, dtype=np.int64)
    assert side_of(Preprocessing(32), 0) == 43
    (kept, _), (whole, _) = next(small.batches([order], 0)), next(large.batches([order], 0))
    shrunk = functional.interpolate(whole, size=(32, 32), mode="area")
    assert (kept - shrunk).abs().mean() < 12


def test_pictures_fit_into_the_memory_of_a_cpu() -> None:
    assert fits_in_memory(8400, Preprocessing(224), CPU, 0)


def test_steps_are_those_of_the_plain_loop() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(20, 16), torch.randint(0, 3, (20,))
    plain, fast = Head(16, 3), Head(16, 3)
    fast.load_state_dict(plain.state_dict())
    optimizers = [torch.optim.AdamW(head.parameters(), lr=0.05) for head in (plain, fast)]
    steps = GpuSteps(fast, optimizers[1], Group())
    for start in (0, 8, 16, 0, 8, 16):
        x, y = features[start : start + 8], labels[start : start + 8]
        logits = plain(x)
        loss = functional.cross_entropy(logits, y)
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        loss_sum, right = steps(x, y, len(y))
        assert torch.allclose(loss_sum, loss.detach() * len(y), atol=1e-5)
        assert int(right) == int((logits.argmax(1) == y).sum())
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_share_without_pictures_changes_nothing_but_the_decay() -> None:
    module = nn.Linear(4, 3)
    before = [p.detach().clone() for p in module.parameters()]
    steps = GpuSteps(module, torch.optim.SGD(module.parameters(), lr=0.1), Group())
    loss_sum, right = steps(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 5)
    assert float(loss_sum) == 0
    assert int(right) == 0
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
