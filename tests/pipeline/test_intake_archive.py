"""Zips: the good ones are unpacked once, the dangerous ones leave nothing behind."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.archive import ArchiveLimits, unpack
from sagehound.pipeline.intake.source import take_in
from sagehound.settings import DataSettings

LIMITS = ArchiveLimits(max_bytes=50_000_000, max_files=10_000, max_ratio=100)


def no_progress(done: int, total: int) -> None:
    """Nobody watches."""


def zip_of(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def pictures(picture: Callable[..., bytes], wrap: str = "") -> dict[str, bytes]:
    return {f"{wrap}{label}/{number}.png": picture(hash((label, number))) for label in "ab" for number in range(4)}


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_zip_with_a_wrapping_folder_is_a_data_set(picture, recorded, tmp_path) -> None:
    members = pictures(picture, "dogImages/") | {"__MACOSX/dogImages/._a": b"x", "dogImages/.DS_Store": b"x"}
    archive = zip_of(tmp_path / "dogImages.zip", members)
    manifest = take_in(str(archive), DataSettings(), tmp_path / "cache", recorded.reporter)
    assert (manifest.name, manifest.classes, len(manifest.pictures)) == ("dogImages", ("a", "b"), 8)
    assert {entry.path.read_bytes() for entry in manifest.pictures} == set(pictures(picture).values())


def test_a_second_run_unpacks_nothing(picture, tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", pictures(picture), zipfile.ZIP_DEFLATED)
    folder = unpack(archive, tmp_path / "cache", LIMITS, no_progress)
    before = {path: path.stat().st_ino for path in files_below(folder)}
    archive.rename(tmp_path / "renamed.zip")
    assert unpack(tmp_path / "renamed.zip", tmp_path / "cache", LIMITS, no_progress) == folder
    assert {path: path.stat().st_ino for path in files_below(folder)} == before


def link_member(archive: zipfile.ZipFile, name: str, target: str, kind: int) -> None:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    archive.writestr(info, target)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside.png", "holds '..'"),
        ("a/../../outside.png", "holds '..'"),
        ("/etc/outside.png", "is an absolute path"),
        ("C:/outside.png", "is an absolute path"),
        ("..\\outside.png", "holds a backslash"),
        ("a/b\0.png", "holds a control character"),
        ("a/\n.png", "holds a control character"),
    ],
)
def test_names_that_leave_the_folder_are_refused(name, why, picture, tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", pictures(picture))
    raw = archive.read_bytes()
    # zipfile cleans names when it writes, so the dangerous name is put in afterwards, over one of equal length.
    harmless = f"zzz{'z' * (len(name) - 3)}"
    archive = zip_of(archive, pictures(picture) | {harmless: b"x"})
    raw = archive.read_bytes().replace(harmless.encode(), name.encode())
    archive.write_bytes(raw)
    with pytest.raises(DataRefused) as refused:
        unpack(archive, tmp_path / "cache" / "deep", LIMITS, no_progress)
    assert why in refused.value.cause
    assert files_below(tmp_path) == [archive]


@pytest.mark.parametrize(("kind", "word"), [(stat.S_IFLNK, "a symbolic link"), (stat.S_IFIFO, "no plain file")])
def test_links_and_devices_are_refused(kind, word, picture, tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", pictures(picture))
    with zipfile.ZipFile(archive, "a") as opened:
        link_member(opened, "a/link.png", "/etc/passwd", kind)
    with pytest.raises(DataRefused, match=f"'a/link.png' is {word}"):
        unpack(archive, tmp_path / "cache", LIMITS, no_progress)
    assert files_below(tmp_path) == [archive]


def test_bombs_are_refused_by_ratio_size_and_number(tmp_path) -> None:
    bomb = zip_of(tmp_path / "bomb.zip", {"a/x.png": b"\0" * 20_000_000}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataRefused, match=r"times its size, more than data.max_archive_ratio"):
        unpack(bomb, tmp_path / "cache", LIMITS, no_progress)
    big = zip_of(tmp_path / "big.zip", {f"a/{n}.png": b"\0" * 6_000_000 for n in range(10)})
    with pytest.raises(DataRefused, match=r"unpacks to 0.06 GB, more than data.max_archive_gb"):
        unpack(big, tmp_path / "cache", LIMITS, no_progress)
    many = zip_of(tmp_path / "many.zip", {f"a/{n}.png": b"" for n in range(30)})
    with pytest.raises(DataRefused, match="has 30 members"):
        unpack(many, tmp_path / "cache", ArchiveLimits(10**9, 29, 100), no_progress)
    assert files_below(tmp_path / "cache") == []


def test_a_member_that_lies_about_its_size_is_stopped(tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", {"a/x.png": b"\0" * 3_000_000}, zipfile.ZIP_DEFLATED)
    raw = archive.read_bytes()
    assert raw.count(struct.pack("<L", 3_000_000)) == 2  # local header and central directory
    archive.write_bytes(raw.replace(struct.pack("<L", 3_000_000), struct.pack("<L", 1_000)))
    with pytest.raises(DataRefused, match="is damaged"):
        unpack(archive, tmp_path / "cache", LIMITS, no_progress)
    assert files_below(tmp_path / "cache") == []


def test_overlapping_members_are_refused(tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", {"a/x.png": b"\0" * 9_000, "a/y.png": b"\1" * 9_000})
    raw = bytearray(archive.read_bytes())
    second = raw.rindex(b"PK\1\2")
    raw[second + 42 : second + 46] = struct.pack("<L", 0)  # both entries point at the first member's data
    archive.write_bytes(bytes(raw))
    with pytest.raises(DataRefused, match="overlaps another"):
        unpack(archive, tmp_path / "cache", LIMITS, no_progress)


def test_two_members_that_are_one_file_are_refused(tmp_path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/x.png", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/x.png", b"2")
    (tmp_path / "twice.zip").write_bytes(out.getvalue())
    with pytest.raises(DataRefused, match="two members that are one file"):
        unpack(tmp_path / "twice.zip", tmp_path / "cache", LIMITS, no_progress)
    zip_of(tmp_path / "case.zip", {"a/x.png": b"1", "A/X.png": b"2"})
    with pytest.raises(DataRefused, match=r"'a/x.png' and 'A/X.png'"):
        unpack(tmp_path / "case.zip", tmp_path / "cache", LIMITS, no_progress)
    zip_of(tmp_path / "both.zip", {"a": b"1", "a/x.png": b"2"})
    with pytest.raises(DataRefused, match="both a file and a folder"):
        unpack(tmp_path / "both.zip", tmp_path / "cache", LIMITS, no_progress)


@pytest.mark.parametrize("cut", [10, 300, -30])
def test_a_damaged_zip_is_refused_and_leaves_nothing(cut, picture, tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", pictures(picture), zipfile.ZIP_DEFLATED)
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(DataRefused, match="is damaged"):
        unpack(archive, tmp_path / "cache", LIMITS, no_progress)
    assert files_below(tmp_path / "cache") == []


def test_a_flipped_byte_is_found(picture, tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", pictures(picture))
    raw = bytearray(archive.read_bytes())
    raw[200] ^= 0xFF
    archive.write_bytes(bytes(raw))
    with pytest.raises(DataRefused, match="is damaged: Bad CRC-32"):
        unpack(archive, tmp_path / "cache", LIMITS, no_progress)


def test_an_encrypted_zip_is_said_to_be_encrypted(tmp_path) -> None:
    archive = zip_of(tmp_path / "x.zip", {"a/x.png": b"1"})
    raw = bytearray(archive.read_bytes())
    for header, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        raw[raw.index(header) + offset] |= 1
    archive.write_bytes(bytes(raw))
    with pytest.raises(DataRefused, match="is encrypted"):
        unpack(archive, tmp_path / "cache", LIMITS, no_progress)
