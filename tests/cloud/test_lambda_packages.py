"""Deployment packages unpacked: within their folder and their limit, however they are damaged."""

from __future__ import annotations

import io
import os
import random
import stat
import zipfile
from pathlib import Path

import pytest

from sagehound.localcloud.services.lambda_ import unzip
from sagehound.localcloud.services.lambda_.code import Packages
from sagehound.localcloud.services.lambda_.unzip import BadPackage
from tests.cloud.lambda_functions import zipped


def linking(*links: tuple[str, str], **files: str) -> bytes:
    """A package of links (name, target) and files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, target in links:
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, target)
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def unpacked(tmp_path: Path, package: bytes) -> Path:
    """The folder of a package, which lies beside it."""
    unzip.inspect(package)
    (tmp_path / "package.zip").write_bytes(package)
    folder = tmp_path / "folder"
    unzip.unpack(tmp_path / "package.zip", folder)
    return folder


def test_files_are_read_only_and_programs_stay_programs(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        program = zipfile.ZipInfo("bin/run")
        program.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(program, "#!/bin/sh\n")
        archive.writestr("empty/", "")
        archive.writestr("./dotted.py", "first")
    folder = unpacked(tmp_path, buffer.getvalue())
    assert stat.S_IMODE((folder / "bin/run").stat().st_mode) == 0o555
    assert stat.S_IMODE((folder / "dotted.py").stat().st_mode) == 0o444
    assert (folder / "empty").is_dir()


@pytest.mark.parametrize(
    "links",
    [
        [("out", "/etc/passwd")],
        [("out", "../secret")],
        [("deep/out", "../../secret")],
        [("folder", ".."), ("folder/inside", "x")],
        # Where the first leads changes when the second is there: up from `here/` is out.
        [("out", "here/../secret"), ("here", ".")],
        [("loop", "loop")],
    ],
    ids=["absolute", "up", "deep", "through", "later", "loop"],
)
def test_links_do_not_lead_out(tmp_path: Path, links: list[tuple[str, str]]) -> None:
    (tmp_path / "secret").write_text("not theirs")
    if links == [("loop", "loop")]:
        folder = unpacked(tmp_path, linking(*links))
        with pytest.raises(OSError, match="Too many levels"):
            (folder / "loop").read_text()
        return
    with pytest.raises(BadPackage):
        unpacked(tmp_path, linking(*links))


def test_links_within_are_kept(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, linking(("lib/name.so", "name.so.1"), **{"lib/name.so.1": "code"}))
    assert (folder / "lib/name.so").read_text() == "code"


def test_a_member_cannot_be_written_through_a_link(tmp_path: Path) -> None:
    with pytest.raises(BadPackage):
        unpacked(tmp_path, linking(("lib", "/tmp"), **{"lib/planted": "x"}))
    assert not Path("/tmp/planted").exists()


def test_a_member_holds_no_more_than_it_says(tmp_path: Path) -> None:
    package = bytearray(zipped({"zeros": bytes(1_000_000)}))
    said = (1_000_000).to_bytes(4, "little")
    lie = (10).to_bytes(4, "little")
    for _ in range(2):
        at = package.index(said)
        package[at : at + 4] = lie
    with pytest.raises(BadPackage):
        unpacked(tmp_path, bytes(package))
    assert not (tmp_path / "folder" / "zeros").exists() or (tmp_path / "folder" / "zeros").stat().st_size <= 10


def test_damage_of_any_kind_is_a_bad_package_or_none(tmp_path: Path) -> None:
    choice = random.Random(4)
    bases = [zipped({"app.py": "x" * 300, "d/e.py": "y", "ü.txt": "z"}), linking(("link", "app.py"), app="x")]
    outcomes = set()
    for number in range(600):
        package = bytearray(choice.choice(bases))
        for _ in range(choice.randint(1, 6)):
            at = choice.randrange(len(package))
            if choice.random() < 0.5:
                package[at] = choice.randrange(256)
            else:
                package[at : at + 4] = choice.choice([b"\xff" * 4, b"\0" * 4, b"\0\0\0\x7f"])
        place = tmp_path / str(number)
        place.mkdir()
        try:
            unpacked(place, bytes(package))
            outcomes.add("whole")
        except BadPackage:
            outcomes.add("bad")
        assert set(os.listdir(place)) <= {"package.zip", "folder"}
    assert outcomes == {"whole", "bad"}


def test_a_package_is_kept_and_unpacked_once(tmp_path: Path) -> None:
    packages = Packages(tmp_path / "lambda")
    first, again = packages.keep(zipped("x = 1")), packages.keep(zipped("x = 1"))
    assert first == again
    packages.unpack(first.CodeSha256)
    inode = packages.folder_of(first.CodeSha256).stat().st_ino
    packages.unpack(first.CodeSha256)
    assert packages.folder_of(first.CodeSha256).stat().st_ino == inode
    other = packages.keep(zipped("x = 2"))
    packages.unpack(other.CodeSha256)
    packages.prune({other.CodeSha256})
    assert not packages.zip_of(first.CodeSha256).exists()
    assert not packages.folder_of(first.CodeSha256).exists()
    assert (packages.folder_of(other.CodeSha256) / "app.py").read_text() == "x = 2"


def test_a_refusal_tells_no_folder_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(BadPackage) as refused:
        unpacked(tmp_path, linking(**{"handler.py": "first", "handler.py/inner": "second"}))
    assert str(tmp_path) not in str(refused.value)
    assert "Lambda could not unzip the deployment package: " in str(refused.value)
