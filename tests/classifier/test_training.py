"""The training loop: it learns, repeats itself by seed, and can be stopped after any step."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sagehound.classifier.checkpoint import Checkpoints
from sagehound.classifier.distributed import Group
from sagehound.classifier.examples import Batch, FeatureExamples
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.network import Head
from sagehound.classifier.training import Recipe, TrainingDiverged, cosine, fit, global_batches

RECIPE = Recipe("head", 4, 10, 0.05, 0.01, seed=7, checkpoint_seconds=0.0)
NOWHERE = Checkpoints(None, "")


class PowerCut(Exception):
    """What ends a training in the middle of an epoch."""


class Interrupted(FeatureExamples):
    """Features that end after so many batches, as a machine does that loses its power."""

    def __init__(self, features: FeatureSet, batches_left: int) -> None:
        super().__init__(features)
        self.batches_left = batches_left

    def batches(self, slices: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        for batch in super().batches(slices, epoch):
            if self.batches_left == 0:
                raise PowerCut
            self.batches_left -= 1
            yield batch


def blobs(seed: int, count: int = 47) -> FeatureSet:
    """Three clouds of points in five dimensions."""
    chance = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 3
    centres = np.random.default_rng(99).normal(0, 2, (3, 5))
    values = (centres[labels] + chance.normal(0, 1, (count, 5))).astype(np.float32)
    return FeatureSet(tuple(f"{i}" for i in range(count)), labels, values)


def new_head() -> Head:
    torch.manual_seed(1)
    head = Head(5, 3)
    head.standardize(blobs(0).features)
    return head


def trained(recipe: Recipe = RECIPE) -> tuple[Head, list[dict[str, float]]]:
    head = new_head()
    return head, fit(head, FeatureExamples(blobs(0)), FeatureExamples(blobs(1)), recipe, NOWHERE, Group(), print)


def test_the_loss_falls_and_the_figures_are_per_picture() -> None:
    _, history = trained()
    assert len(history) == 4
    assert history[-1]["validation:loss"] < history[0]["validation:loss"]
    assert history[-1]["validation:accuracy"] > 0.8
    assert 0 < history[-1]["train:loss"] < 1


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not() -> None:
    one, two = trained()[0].state_dict(), trained()[0].state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = trained(Recipe("head", 4, 10, 0.05, 0.01, seed=8))[0].state_dict()
    assert not torch.equal(one["linear.weight"], other["linear.weight"])


@pytest.mark.parametrize("batches_done", [1, 4, 5, 6, 13, 19])
def test_a_training_that_ends_after_any_batch_goes_on_as_if_it_had_not(tmp_path: Path, batches_done: int) -> None:
    whole, history = trained()
    checkpoints = Checkpoints(tmp_path, "this one")
    validation = FeatureExamples(blobs(1))
    with pytest.raises(PowerCut):
        fit(new_head(), Interrupted(blobs(0), batches_done), validation, RECIPE, checkpoints, Group(), print)
    resumed = new_head()
    again = Interrupted(blobs(0), 1000)
    assert fit(resumed, again, validation, RECIPE, checkpoints, Group(), print) == history
    # Each batch was checkpointed, so none is done twice: five an epoch, four epochs.
    assert 1000 - again.batches_left == 20 - batches_done
    expected = whole.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())


def test_a_checkpoint_of_another_training_or_a_broken_one_is_not_taken(tmp_path: Path) -> None:
    lines: list[str] = []
    training, validation = FeatureExamples(blobs(0)), FeatureExamples(blobs(1))
    fit(new_head(), training, validation, RECIPE, Checkpoints(tmp_path, "one"), Group(), print)
    _, history = trained()
    assert fit(new_head(), training, validation, RECIPE, Checkpoints(tmp_path, "two"), Group(), lines.append) == history
    assert "is of another training" in lines[0]
    (tmp_path / "head.pt").write_bytes(b"PK half a file")
    assert fit(new_head(), training, validation, RECIPE, Checkpoints(tmp_path, "two"), Group(), lines.append) == history
    assert "cannot be read" in lines[1]


def test_a_loss_that_is_no_number_ends_the_training_with_the_way_out() -> None:
    broken = blobs(0)
    broken.features[3] = np.inf
    head = Head(5, 3)
    with pytest.raises(TrainingDiverged, match="lower --learning_rate"):
        fit(head, FeatureExamples(broken), FeatureExamples(blobs(1)), RECIPE, NOWHERE, Group(), print)


def test_each_picture_is_seen_once_an_epoch_in_another_order() -> None:
    first, second = global_batches(23, 10, 0, 0), global_batches(23, 10, 0, 1)
    assert [len(batch) for batch in first] == [10, 10, 3]
    assert sorted(np.concatenate(first)) == list(range(23))
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    shares = [Group(rank, 3).slice(10) for rank in range(3)]
    assert [i for share in shares for i in range(10)[share]] == list(range(10))


def test_the_learning_rate_falls_as_half_a_cosine() -> None:
    assert cosine(0, 10) == 1.0
    assert cosine(5, 10) == pytest.approx(0.5)
    assert cosine(10, 10) == pytest.approx(0.0)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x02K\x01.", b"(dp0\n.", b"\x80\x04\x95\xff"])
def test_whatever_a_checkpoint_file_holds_training_starts_afresh(tmp_path: Path, content: bytes) -> None:
    checkpoints = Checkpoints(tmp_path, "this one")
    checkpoints.path("head").write_bytes(content)
    state, reason = checkpoints.load("head")
    assert state is None
    assert reason is not None


def test_a_checkpoint_of_another_shape_is_another_trainings(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "this one")
    torch.save([1, 2], checkpoints.path("head"))
    assert checkpoints.load("head")[0] is None


def test_a_checkpoint_cut_short_anywhere_is_not_taken(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "this one")
    checkpoints.save("head", {"weights": torch.zeros(20, 20)})
    whole = checkpoints.path("head").read_bytes()
    for length in range(0, len(whole), 37):
        checkpoints.path("head").write_bytes(whole[:length])
        assert checkpoints.load("head")[0] is None
