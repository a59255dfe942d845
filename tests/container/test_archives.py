"""Archives of strangers: what is in them lands in the folder or is refused, on every Python that we take."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from sagehound.localcloud.container import archives


@pytest.fixture(params=["this Python", "a Python before 3.11.4"], autouse=True)
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """tarfile's own filter came with 3.11.4; Debian 12 has 3.11.2."""
    if request.param != "this Python":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


def pack(path: Path, *members: tuple[str, bytes | None, dict[str, object]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content, changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            for field, value in changes.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content or b""))
    return path


def test_files_folders_and_inner_links_are_unpacked(tmp_path: Path) -> None:
    archive = pack(
        tmp_path / "code.tar.gz",
        ("", None, {"type": tarfile.DIRTYPE}),
        ("./code", None, {"type": tarfile.DIRTYPE}),
        ("./code/main.py", b"print()", {"mode": 0o777, "uid": 12345, "gid": 12345}),
        ("link.py", None, {"type": tarfile.SYMTYPE, "linkname": "code/main.py"}),
        ("same.py", None, {"type": tarfile.LNKTYPE, "linkname": "code/main.py"}),
        ("/absolute.txt", b"inside", {}),
    )
    target = tmp_path / "target"
    target.mkdir()
    archives.unpack(archive, target)
    for name in ("code/main.py", "link.py", "same.py"):
        assert (target / name).read_bytes() == b"print()"
    assert (target / "absolute.txt").read_bytes() == b"inside"
    assert (target / "code" / "main.py").stat().st_uid == tmp_path.stat().st_uid
    assert (target / "code" / "main.py").stat().st_mode & 0o022 == 0


@pytest.mark.parametrize(
    "members",
    [
        [("../outside.txt", b"x", {})],
        [("a/../../outside.txt", b"x", {})],
        [("out", None, {"type": tarfile.SYMTYPE, "linkname": "../.."}), ("out/outside.txt", b"x", {})],
        [("out", None, {"type": tarfile.SYMTYPE, "linkname": "/etc"})],
        [("out", None, {"type": tarfile.LNKTYPE, "linkname": "../outside.txt"})],
        [("device", None, {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
        [("pipe", None, {"type": tarfile.FIFOTYPE})],
    ],
)
def test_what_would_leave_the_folder_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes | None, dict[str, object]]]
) -> None:
    (tmp_path / "outside.txt").write_text("untouched")
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    with pytest.raises(tarfile.TarError):
        archives.unpack(pack(tmp_path / "bad.tar.gz", *members), target)
    assert (tmp_path / "outside.txt").read_text() == "untouched"
    assert not (tmp_path / "deep" / "outside.txt").exists()


@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_a_damaged_archive_is_one_of_the_known_errors(tmp_path: Path, damage: str) -> None:
    archive = pack(tmp_path / "code.tar.gz", ("main.py", bytes(range(256)) * 4000, {}))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"no archive" * 100)
    with pytest.raises(archives.BROKEN):
        archives.unpack(archive, tmp_path)
