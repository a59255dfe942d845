"""A folder of pictures becomes a checked data set, or is refused with the names of what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.decode_cache import DecodeCache
from sagehound.pipeline.intake.source import data_name, take_in
from sagehound.settings import DataSettings

Folder = Callable[..., Path]


def test_splits_are_taken_as_they_are_under_their_usual_other_names(make_folder, recorded, tmp_path) -> None:
    root = make_folder({f"{split}/{label}": 2 for split in ("Training", "val", "test") for label in ("cat", "dog")})
    manifest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert manifest.counts == {"train": 4, "valid": 4, "test": 4}
    assert manifest.classes == ("cat", "dog")
    assert manifest.pictures[0].key == "test/cat/000.png"
    assert all(picture.path.is_relative_to(root) for picture in manifest.pictures)  # nothing was copied
    assert recorded.notes() == []


def test_class_folders_alone_are_split_by_seed(make_folder, recorded, tmp_path) -> None:
    root = make_folder({"cat": 20, "dog": 20})
    manifest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert manifest.counts == {"train": 28, "valid": 6, "test": 6}
    other = take_in(str(root), DataSettings(seed=1), tmp_path / "cache", recorded.reporter)
    assert other.digest != manifest.digest
    assert take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter).digest == manifest.digest


def test_a_missing_split_is_taken_from_train(make_folder, recorded, tmp_path) -> None:
    root = make_folder({"train/cat": 20, "train/dog": 20, "test/cat": 3, "test/dog": 3})
    manifest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert manifest.counts == {"train": 34, "valid": 6, "test": 6}
    assert recorded.notes() == ["split train/ by seed 0: 15% valid of each class"]


def test_wrapping_folders_are_stripped_and_noise_is_passed_over(make_folder, recorded, tmp_path) -> None:
    root = make_folder(
        {
            "dogImages/inner/cat": 5,
            "dogImages/inner/dog": 5,
            "dogImages/inner/cat/.hidden.png": b"x",
            "dogImages/inner/cat/Thumbs.db": b"x",
            "dogImages/inner/cat/notes.txt": b"about cats",
            "__MACOSX/dogImages/inner/cat/._000.png": b"x",
            ".git/config": b"x",
        }
    )
    manifest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert len(manifest.pictures) == 10
    assert recorded.notes()[0] == "1 files that are no pictures were left out: cat/notes.txt"


def test_a_class_called_train_beside_bus_and_car_is_a_class(make_folder, recorded, tmp_path) -> None:
    root = make_folder({"train": 5, "bus": 5, "car": 5})
    assert take_in(str(root), DataSettings(), tmp_path / "c", recorded.reporter).classes == ("bus", "car", "train")


def test_folders_inside_a_class_and_links_are_followed_but_not_in_circles(make_folder, recorded, tmp_path) -> None:
    root = make_folder({"cat": 4, "cat/indoors": 4, "dog": 4})
    (root / "cat" / "round").symlink_to(root / "cat", target_is_directory=True)
    elsewhere = make_folder({"fish": 4}, name="elsewhere")
    (root / "fish").symlink_to(elsewhere / "fish", target_is_directory=True)
    manifest = take_in(str(root), DataSettings(), tmp_path / "c", recorded.reporter)
    assert manifest.classes == ("cat", "dog", "fish")
    assert len(manifest.pictures) == 16
    assert any(picture.key.endswith("cat/indoors/000.png") for picture in manifest.pictures)


def test_unreadable_pictures_are_named_and_refused(make_folder, picture, recorded, tmp_path) -> None:
    jpeg = picture(1, "JPEG", (200, 200))
    root = make_folder(
        {
            "cat": 6,
            "dog": 6,
            "cat/cut.jpg": jpeg[: len(jpeg) * 2 // 3],
            "dog/empty.png": b"",
            "dog/page.jpg": b"<!DOCTYPE html><p>404</p>",
            "dog/moving.gif": picture(2, "GIF"),
        }
    )
    with pytest.raises(DataRefused) as refused:
        take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert "4 of 16 pictures are unreadable" in refused.value.cause
    assert "cat/cut.jpg cannot be decoded: image file is truncated" in refused.value.cause
    assert "dog/empty.png is empty" in refused.value.cause
    assert "dog/page.jpg is no JPEG, PNG or WebP picture (an HTML page)" in refused.value.cause
    assert "dog/moving.gif is no JPEG, PNG or WebP picture (GIF)" in refused.value.cause
    assert "--skip-unreadable" in refused.value.hint
    manifest = take_in(str(root), DataSettings(skip_unreadable=True), tmp_path / "cache", recorded.reporter)
    assert len(manifest.pictures) == 12
    assert "4 unreadable pictures were left out: cat/cut.jpg" in recorded.notes()[0]


def test_pictures_over_the_limits_are_refused(make_folder, picture, recorded, tmp_path) -> None:
    root = make_folder({"cat": 3, "dog": 3, "dog/wide.png": picture(7, "PNG", (300, 200))})
    take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    with pytest.raises(DataRefused, match=r"wide.png has 0.1 megapixels"):
        take_in(str(root), DataSettings(max_picture_megapixels=0.05), tmp_path / "cache", recorded.reporter)
    with pytest.raises(DataRefused, match=r"wide.png 0.2 MB is more than data.max_picture_mb"):
        take_in(str(root), DataSettings(max_picture_mb=0.1), tmp_path / "cache", recorded.reporter)


def test_every_colour_mode_and_format_is_readable(make_folder, tmp_path, recorded) -> None:
    from PIL import Image

    root = make_folder({"cat": 4, "dog": 4})
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        Image.new(mode, (9, 7)).save(root / "cat" / f"{mode.replace(';', '')}.png")
    Image.new("CMYK", (9, 7)).save(root / "dog" / "cmyk.jpg")
    Image.new("RGBA", (9, 7)).save(root / "dog" / "alpha.webp")
    two = Image.new("RGB", (9, 7)), Image.new("RGB", (5, 5))
    two[0].save(root / "dog" / "camera.jpg", "MPO", save_all=True, append_images=[two[1]])
    manifest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert len(manifest.pictures) == 17


def test_the_same_picture_in_two_splits_is_found_by_content(make_folder, picture, recorded, tmp_path) -> None:
    same = picture(99)
    root = make_folder(
        {
            **{f"{split}/{label}": 2 for split in ("train", "valid", "test") for label in ("cat", "dog")},
            "train/cat/copy.png": same,
            "test/cat/original.png": same,
        }
    )
    manifest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert manifest.counts == {"train": 4, "valid": 4, "test": 5}
    assert recorded.notes() == [
        "1 pictures are in a later split too and were left out: train/cat/copy.png = test/cat/original.png"
    ]
    kept = take_in(str(root), DataSettings(duplicates="keep"), tmp_path / "cache", recorded.reporter)
    assert kept.counts["train"] == 5
    with pytest.raises(DataRefused, match=r"train/cat/copy.png = test/cat/original.png"):
        take_in(str(root), DataSettings(duplicates="refuse"), tmp_path / "cache", recorded.reporter)


def test_one_picture_with_two_labels_is_said(make_folder, picture, recorded, tmp_path) -> None:
    root = make_folder({"cat": 5, "dog": 5, "cat/x.png": picture(99), "dog/y.png": picture(99)})
    take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert "the same picture has two labels: cat/x.png and dog/y.png" in recorded.notes()


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ({"cat": 3, "stray.png": b"x"}, "lie outside a class folder: stray.png"),
        ({"train/cat": 3, "train/dog": 3, "train/stray.jpg": b"x"}, "lie outside a class folder: train/stray.jpg"),
        ({"cat": 9}, "has 1 class to train on"),
        ({"valid/cat": 3, "test/cat": 3}, "no train/ folder"),
        ({"train/cat": 3, "train/dog": 3, "val/cat": 1, "valid/cat": 1}, "two folders for the valid split"),
        (
            {"train/cat": 3, "train/dog": 3, "valid/cat": 1, "test/fox": 1},
            "classes in test/ that train/ does not have: fox",
        ),
        ({"cat/readme.txt": b"x"}, "no pictures"),
        ({"cat": 4, "dog": 4, "dog/a\nb.png": b"x"}, r"cannot be S3 keys: 'dog/a\nb.png'"),
    ],
)
def test_what_is_no_data_set_is_refused(content, cause, make_folder, recorded, tmp_path) -> None:
    with pytest.raises(DataRefused) as refused:
        take_in(str(make_folder(content)), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert cause in refused.value.cause
    assert refused.value.hint


def test_a_name_that_is_not_utf8_is_refused_by_name(make_folder, picture, recorded, tmp_path) -> None:
    root = make_folder({"cat": 4, "dog": 4})
    (root / "dog" / os.fsdecode(b"caf\xe9.png")).write_bytes(picture(5))
    with pytest.raises(DataRefused, match="udce9"):
        take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)


def test_a_second_run_decodes_nothing_and_a_changed_file_again(make_folder, recorded, tmp_path) -> None:
    root = make_folder({"cat": 4, "dog": 4})
    for path in root.rglob("*.png"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    manifest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    cache = DecodeCache(tmp_path / "cache")
    remembered = {entry.path: cache.get(entry.path) for entry in manifest.pictures}
    assert {path: verdict.sha256 for path, verdict in remembered.items() if verdict} == {
        entry.path: entry.sha256 for entry in manifest.pictures
    }
    # Proof that nothing is read: with other bytes under the same size and time the old verdict stands ...
    victim = root / "cat" / "000.png"
    stat = victim.stat()
    victim.write_bytes(b"\0" * stat.st_size)
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter).digest == manifest.digest
    # ... and a new time stamp makes it look again.
    os.utime(victim)
    with pytest.raises(DataRefused, match=r"cat/000.png"):
        take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    cache.close()


def test_a_file_that_changed_just_now_is_not_remembered(make_folder, recorded, tmp_path) -> None:
    root = make_folder({"cat": 4, "dog": 4})
    take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
    cache = DecodeCache(tmp_path / "cache")
    assert cache.get(root / "cat" / "000.png") is None
    cache.close()


def test_a_data_set_is_named_after_what_was_given(tmp_path) -> None:
    assert data_name("https://s3-us-west-1.amazonaws.com/udacity-aind/dog-project/dogImages.zip") == "dogImages"
    assert data_name("https://example.org/a%20b.ZIP#sha256=00") == "a-b"
    assert data_name("s3://bucket/some/prefix/") == "prefix"
    assert data_name("s3://bucket") == "bucket"
    assert data_name(f"{tmp_path}/pets/") == "pets"


def test_what_does_not_exist_is_said(recorded, tmp_path) -> None:
    with pytest.raises(DataRefused, match="does not exist"):
        take_in(str(tmp_path / "nothing"), DataSettings(), tmp_path / "cache", recorded.reporter)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(DataRefused, match="neither a folder nor a zip"):
        take_in(str(tmp_path / "a.txt"), DataSettings(), tmp_path / "cache", recorded.reporter)


def test_a_damaged_cache_is_made_anew(make_folder, recorded, tmp_path) -> None:
    root = make_folder({"cat": 4, "dog": 4})
    digest = take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter).digest
    (database,) = (tmp_path / "cache").glob("decoded-*.sqlite")
    database.write_bytes(b"no database" * 1000)
    assert take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter).digest == digest
    database.unlink()
    database.mkdir()
    with pytest.raises(DataRefused, match="cannot be used"):
        take_in(str(root), DataSettings(), tmp_path / "cache", recorded.reporter)
