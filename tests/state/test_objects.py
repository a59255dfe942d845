"""Content files: written whole, removed late, swept after a death, shared by hard links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sagehound.localcloud.call import FileRange
from sagehound.localcloud.state.objects import ContentFiles


@pytest.fixture
def files(tmp_path: Path) -> ContentFiles:
    return ContentFiles(tmp_path / "objects", 1, grace=0.0)


def names(files: ContentFiles) -> set[str]:
    return {path.name for path in files.root.rglob("*") if path.is_file()}


def test_what_is_written_is_read(files: ContentFiles) -> None:
    content = files.write(b"0123456789")
    assert files.read(FileRange(Path(files.path(content)), 2, 3)) == b"234"


def test_content_cannot_be_opened_for_writing_by_others(files: ContentFiles) -> None:
    mode = os.stat(files.path(files.write(b"x"))).st_mode
    assert mode & 0o222 == 0


def test_a_link_survives_its_source(files: ContentFiles, tmp_path: Path) -> None:
    content = files.write(b"shared")
    copy = files.link(content)
    files.link_to([content], tmp_path / "input")
    files.remove([content])
    assert files.collect() == 1
    assert Path(files.path(copy)).read_bytes() == (tmp_path / "input").read_bytes() == b"shared"
    assert os.stat(files.path(copy)).st_ino == (tmp_path / "input").stat().st_ino


def test_several_contents_become_one_file(files: ContentFiles, tmp_path: Path) -> None:
    files.link_to([files.write(b"one, "), files.write(b"two")], tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == b"one, two"


def test_a_file_is_taken_or_copied(files: ContentFiles, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    copied = files.take(source, keep=True)
    moved = files.take(source)
    assert not source.exists()
    assert Path(files.path(copied)).read_bytes() == Path(files.path(moved)).read_bytes() == b"weights"


def test_removed_files_stay_for_the_grace_and_while_pinned(tmp_path: Path) -> None:
    patient = ContentFiles(tmp_path / "patient", 1, grace=3600.0)
    content = patient.write(b"x")
    patient.remove([content])
    assert patient.collect() == 0
    assert names(patient) == {content}
    eager = ContentFiles(tmp_path / "eager", 1, grace=0.0)
    content = eager.write(b"x")
    eager.pin([content])
    eager.remove([content])
    assert eager.collect() == 0
    eager.unpin([content])
    assert eager.collect() == 1
    assert names(eager) == set()


def test_a_sweep_removes_what_no_row_names_and_leaves_this_run_alone(files: ContentFiles) -> None:
    named, orphan = files.write(b"named"), files.write(b"orphan")
    later = ContentFiles(files.root, 2)
    fresh = later.write(b"not yet in a row")
    assert later.sweep({named}) == 1
    assert names(later) == {named, fresh}
    assert orphan not in names(later)


def test_ids_are_not_used_twice_across_runs(files: ContentFiles) -> None:
    first = {files.write(b"x") for _ in range(300)}
    second = ContentFiles(files.root, 2)
    assert not first & {second.write(b"x") for _ in range(300)}
