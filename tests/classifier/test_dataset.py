"""Folders become splits; what is wrong with them is said by name."""

from pathlib import Path

import pytest

from sagehound.classifier.channels import find_channels
from sagehound.classifier.dataset import BadDataset, class_names, read_split, split_folders, union_of_classes
from tests.classifier.pictures import CLASSES


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_classes_are_sorted_plainly(tmp_path: Path) -> None:
    touch(tmp_path, "10.b/1.jpg", "9.a/1.jpg", "Zebra/1.jpg", "ant/1.jpg", ".cache/1.jpg")
    assert class_names(tmp_path) == ("10.b", "9.a", "Zebra", "ant")


def test_a_split_has_its_pictures_sorted_with_the_labels_of_the_given_classes(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.PNG", "b/1.jpg", "a/deep/er/3.webp", "a/notes.txt", "a/.hidden.jpg")
    split = read_split("validation", tmp_path, ("a", "b", "c"))
    assert [(p.name, p.label) for p in split.pictures] == [("a/deep/er/3.webp", 0), ("b/1.jpg", 1), ("b/2.PNG", 1)]
    assert split.labels.tolist() == [0, 1, 1]
    assert split.skipped == 1


def test_a_class_that_training_never_sees_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "wolf/1.jpg")
    with pytest.raises(BadDataset, match="'wolf' does not occur in the train split"):
        read_split("test", tmp_path, ("dog",))


def test_folders_without_classes_or_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="no class folders"):
        class_names(tmp_path)
    touch(tmp_path, "a/notes.txt")
    with pytest.raises(BadDataset, match="no picture"):
        read_split("train", tmp_path, ("a",))
    with pytest.raises(BadDataset, match="at least two classes"):
        union_of_classes([["a"], ["a"]])
    assert union_of_classes([["b"], ["a", "b"]]) == ("a", "b")


def test_a_fingerprint_changes_with_a_picture_and_not_with_its_place(tmp_path: Path) -> None:
    for place in ("one", "two"):
        touch(tmp_path / place, "a/1.jpg", "b/1.jpg")
    one, two = (read_split("train", tmp_path / place, ("a", "b")) for place in ("one", "two"))
    assert one.fingerprint() == two.fingerprint()
    (tmp_path / "two" / "a" / "1.jpg").write_bytes(b"y")
    assert one.fingerprint() != two.fingerprint()


@pytest.mark.parametrize("around", ["", "dogImages"])
@pytest.mark.parametrize("valid", ["valid", "val", "validation"])
def test_the_splits_of_one_channel_are_found(tmp_path: Path, around: str, valid: str) -> None:
    root = tmp_path / around
    touch(root, "train/a/1.jpg", f"{valid}/a/1.jpg", "test/a/1.jpg")
    found = find_channels({"SM_CHANNEL_TRAINING": str(tmp_path)}).splits
    assert found == {"train": root / "train", "validation": root / valid, "test": root / "test"}


def test_splits_may_be_channels_of_their_own(shapes: Path) -> None:
    channels = find_channels(
        {"SM_CHANNEL_TRAIN": str(shapes / "train"), "SM_CHANNEL_VALID": str(shapes / "valid"), "SM_CHANNEL_TEST": ""}
    )
    assert channels.splits == {"train": shapes / "train", "validation": shapes / "valid"}
    assert class_names(channels.splits["train"]) == CLASSES


def test_missing_channels_are_said_with_the_way_out(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="give a channel 'training'"):
        find_channels({})
    with pytest.raises(BadDataset, match="no validation split"):
        find_channels({"SM_CHANNEL_TRAIN": str(shapes / "train")})
    touch(tmp_path, "cats/1.jpg", "dogs/1.jpg")
    with pytest.raises(BadDataset, match=r"no folder 'train' \(it holds: cats, dogs\)"):
        split_folders(tmp_path)
    with pytest.raises(BadDataset, match="is not a folder"):
        find_channels({}, str(tmp_path / "nowhere"))
