"""weights: files of pretrained weights by the names that scripts download, added, shown and removed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

CONTENT = b"weights of a network"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"resnet50-{DIGEST[:8]}.pth"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    return path


def kept(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "cloud" / "weights" / "hub" / "checkpoints"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_weights_are_added_shown_and_removed(sagehound, tmp_path, file) -> None:
    assert "no weights in " in sagehound("weights", "list").stdout
    assert json.loads(sagehound("weights", "list", "--json").stdout) == []
    done = sagehound("weights", "add", str(file))
    assert NAME in done.stdout
    assert "note" not in done.stdout
    assert kept(tmp_path) == {NAME: CONTENT}
    assert json.loads(sagehound("weights", "list", "--json").stdout) == [{"name": NAME, "size": len(CONTENT)}]
    assert sagehound("weights", "remove", NAME).stdout == f"removed {NAME}\n"
    assert kept(tmp_path) == {}
    assert file.read_bytes() == CONTENT


def test_a_name_that_tells_another_content_is_told_of(sagehound, tmp_path, file) -> None:
    done = sagehound("weights", "add", str(file), "--name", "resnet18-f37072fd.pth")
    assert f"its content's SHA-256 begins with {DIGEST[:8]}, not with f37072fd as its name says" in done.stdout
    assert kept(tmp_path) == {"resnet18-f37072fd.pth": CONTENT}
    events = [json.loads(line) for line in sagehound("weights", "add", str(file), "--json").stdout.splitlines()]
    assert events[-1]["result"] == {"name": NAME, "size": len(CONTENT), "sha256": DIGEST}


def test_others_by_the_same_name_take_its_place_whole(sagehound, tmp_path, file) -> None:
    sagehound("weights", "add", str(file), "--name", "model.pth")
    file.write_bytes(b"better ones")
    sagehound("weights", "add", str(file), "--name", "model.pth")
    assert kept(tmp_path) == {"model.pth": b"better ones"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "nothing.pth"), "there is no file nothing.pth"),
        (("add", "FILE", "--name", "../../credentials"), "../../credentials is no name of a file of weights"),
        (("add", "FILE", "--name", ".hidden"), ".hidden is no name of a file of weights"),
        (("add", "FILE", "FILE", "--name", "x.pth"), "--name x.pth is one name for 2 files"),
        (("remove", "nothing.pth"), "there are no weights nothing.pth"),
        (("remove", "../../credentials"), "is no name of a file of weights"),
    ],
)
def test_what_cannot_be_is_told(sagehound, file, words, told) -> None:
    done = sagehound("weights", *(str(file) if word == "FILE" else word for word in words), check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
