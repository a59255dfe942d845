"""Paths of a disk whose owner has put links, files and folders where the server wants to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagehound.localcloud.instances import paths


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "disk" / "etc").mkdir(parents=True)
    return tmp_path / "disk"


@pytest.mark.parametrize("target", ["/tmp/x", "../../tmp/x", "/../../tmp/x", "loop/../../tmp/x", "/again"])
def test_links_lead_to_the_disk(disk: Path, target: str) -> None:
    (disk / "again").symlink_to("tmp/x")
    (disk / "etc/link").symlink_to(target)
    assert paths.resolved(str(disk), "/etc/link/file") == f"{disk}/tmp/x/file"


def test_a_loop_of_links_is_an_error_and_gives_way_to_a_folder(disk: Path) -> None:
    (disk / "a").symlink_to("b")
    (disk / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        paths.resolved(str(disk), "/a")
    assert paths.folder(str(disk), "/a/below") == f"{disk}/a/below"
    assert (disk / "a/below").is_dir()


def test_a_folder_takes_the_place_of_a_file_or_of_a_link_to_one(disk: Path) -> None:
    (disk / "etc/passwd").write_text("kept")
    (disk / "root").symlink_to("/etc/passwd")
    (disk / "home").symlink_to("/etc/passwd/below")
    (disk / "opt").write_text("a file")
    for name in ("root", "home", "opt"):
        assert paths.folder(str(disk), f"/{name}/x") == f"{disk}/{name}/x"
        assert (disk / name / "x").is_dir()
    assert (disk / "etc/passwd").read_text() == "kept"


def test_a_folder_that_a_link_leads_to_stays(disk: Path) -> None:
    (disk / "data/root").mkdir(parents=True)
    (disk / "root").symlink_to("/data/root")
    assert paths.folder(str(disk), "/root") == f"{disk}/data/root"
    assert (disk / "root").is_symlink()


def test_a_file_takes_the_place_of_whatever_is_there(disk: Path) -> None:
    outside = disk.parent / "outside"
    (disk / "etc/motd").symlink_to(outside / "file")
    (disk / "etc/hosts/folder").mkdir(parents=True)
    (disk / "etc/profile.d").symlink_to(outside)
    for name in ("motd", "hosts", "profile.d"):
        assert paths.write(str(disk), f"/etc/{name}", "new") == f"{disk}/etc/{name}"
        assert (disk / "etc" / name).read_text() == "new"
        paths.link(str(disk), f"/etc/{name}", "elsewhere")
        assert (disk / "etc" / name).readlink() == Path("elsewhere")
        paths.new_folder(str(disk), f"/etc/{name}")
    assert list(outside.iterdir()) == []
