"""Splitting by seed: stratified, the same for the same seed, no content in two splits."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.splitting import Content, duplicates_across, labels_in_conflict, split_by_seed

SHARES = {"valid": 0.15, "test": 0.15}


def contents(label: str, count: int) -> list[Content]:
    return [Content(label, f"{label}-{number}") for number in range(count)]


def test_each_class_is_split_in_the_same_shares() -> None:
    pictures = contents("cat", 100) + contents("dog", 40)
    splits = split_by_seed(pictures, SHARES, seed=0)
    per_class: dict[str, list[str]] = defaultdict(list)
    for picture, split in zip(pictures, splits, strict=True):
        per_class[picture.label].append(split)
    assert [per_class["cat"].count(split) for split in ("train", "valid", "test")] == [70, 15, 15]
    assert [per_class["dog"].count(split) for split in ("train", "valid", "test")] == [28, 6, 6]


def test_the_seed_decides_and_the_order_of_the_files_does_not() -> None:
    pictures = contents("cat", 50) + contents("dog", 50)
    splits = dict(zip(pictures, split_by_seed(pictures, SHARES, seed=3), strict=True))
    backwards = pictures[::-1]
    assert dict(zip(backwards, split_by_seed(backwards, SHARES, seed=3), strict=True)) == splits
    assert dict(zip(pictures, split_by_seed(pictures, SHARES, seed=4), strict=True)) != splits


def test_one_picture_more_moves_few_others() -> None:
    before = contents("cat", 200)
    after = contents("cat", 201)
    old, new = split_by_seed(before, SHARES, 0), split_by_seed(after, SHARES, 0)
    assert sum(one != other for one, other in zip(old, new, strict=False)) <= 4


def test_the_smallest_class_still_has_one_in_each_split() -> None:
    assert sorted(split_by_seed(contents("cat", 3) + contents("dog", 9), SHARES, 0)[:3]) == ["test", "train", "valid"]


def test_a_class_with_too_few_different_pictures_is_named() -> None:
    copies = [Content("dog", "same")] * 5
    with pytest.raises(DataRefused, match="class 'dog' has 1 different pictures"):
        split_by_seed(contents("cat", 5) + copies, SHARES, 0)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=60),
    st.integers(0, 5),
    st.floats(0.05, 0.45),
    st.floats(0.05, 0.45),
)
def test_no_content_is_ever_in_two_splits_and_every_split_is_served(
    extra: list[tuple[str, int]], seed: int, valid: float, test: float
) -> None:
    pictures = [Content(label, f"own-{label}-{n}") for label in "abc" for n in range(4)]
    pictures += [Content(label, f"shared-{number}") for label, number in extra]
    splits = split_by_seed(pictures, {"valid": valid, "test": test}, seed)
    where: dict[str, set[str]] = defaultdict(set)
    for picture, split in zip(pictures, splits, strict=True):
        where[picture.sha256].add(split)
    assert all(len(found) == 1 for found in where.values())
    assert set(splits) == {"train", "valid", "test"}
    assert duplicates_across(pictures, splits) == []


def test_the_copy_that_is_trained_on_is_the_one_to_leave_out() -> None:
    pictures = [Content("cat", "x"), Content("cat", "x"), Content("cat", "x"), Content("cat", "y"), Content("cat", "y")]
    found = duplicates_across(pictures, ["train", "test", "valid", "train", "train"])
    assert [(duplicate.leave, duplicate.keep) for duplicate in found] == [(0, 1), (2, 1)]


def test_one_content_under_two_labels_is_found() -> None:
    assert labels_in_conflict([Content("cat", "x"), Content("dog", "y"), Content("dog", "x"), Content("dog", "x")]) == [
        (0, 2)
    ]
