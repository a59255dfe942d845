"""The code that a job runs: ours by name, a person's own by path; the same bytes for the same files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline import code as module
from sagehound.pipeline.code import find_code, warn_of_script
from sagehound.pipeline.place import LOCAL_CLOUD, aws_in


def members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "hpo.py": "import lib.net\n",
        "lib/net.py": "x = 1\n",
        "requirements.txt": "tqdm\n",
        "__pycache__/hpo.pyc": "z",
        ".git/config": "z",
    }.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path / "mine"


def test_a_bare_name_of_ours_is_ours_and_a_path_is_the_persons(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    ours = find_code("hpo.py", "", "tune", LOCAL_CLOUD)
    assert ours.ours
    assert "sagehound/classifier/job.py" in ours.bundle.members
    own = find_code("./hpo.py", "", "tune", LOCAL_CLOUD)
    assert not own.ours
    assert own.program == "hpo.py"
    assert members(own.bundle.content) == {"hpo.py": b"import lib.net\n"}


def test_a_folder_is_shipped_whole_and_with_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    code = find_code("hpo.py", str(folder), "tune", aws_in("us-east-1"))
    assert set(members(code.bundle.content)) == {"hpo.py", "lib/net.py", "requirements.txt"}
    assert code.path == folder / "hpo.py"
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    (moved / "hpo.py").touch()
    assert find_code("hpo.py", str(moved), "tune", LOCAL_CLOUD).bundle == code.bundle
    (moved / "lib/net.py").write_text("x = 2\n")
    assert find_code("hpo.py", str(moved), "tune", LOCAL_CLOUD).bundle.digest != code.bundle.digest


@pytest.mark.parametrize(
    ("entry_point", "source_dir", "cause"),
    [
        ("no_such.py", "", "the entry point no_such.py does not exist"),
        ("no_such.py", "mine", "the entry point mine/no_such.py does not exist"),
        ("hpo.py", "no_such", "source_dir no_such is no folder"),
        ("../outside.py", "mine", "entry_point ../outside.py lies outside source_dir mine"),
    ],
)
def test_what_is_missing_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, entry_point: str, source_dir: str, cause: str
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder.parent / "outside.py").write_text("")
    with pytest.raises(StepFailed) as failed:
        find_code(entry_point, source_dir, "tune", LOCAL_CLOUD)
    assert failed.value.step == "tune"
    assert cause in failed.value.cause


def test_a_folder_with_data_in_it_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    (folder / "dogImages.zip").write_bytes(bytes(20_000))
    with pytest.raises(StepFailed) as failed:
        find_code("hpo.py", str(folder), "tune", LOCAL_CLOUD)
    assert "dogImages.zip (0.0 MB)" in failed.value.cause
    assert "sagehound upload" in failed.value.hint


def test_what_is_suspicious_is_a_note_with_file_and_line(tmp_path: Path, recorded) -> None:
    script = tmp_path / "hpo.py"
    script.write_text(
        "import torch\n"
        "def test(model, loader, criterion):\n"
        "    running_loss = 0\n"
        "    for inputs, labels in loader:\n"
        "        running_loss += criterion(model(inputs), labels).item() * inputs.size(0)\n"
        "    total_loss = running_loss // len(loader)\n"
        "    print(f'Testing Loss: {total_loss}')\n"
    )
    code = find_code(str(script), "", "tune", LOCAL_CLOUD)
    options = {"instance_type": "ml.m5.large", "instance_count": 1, "distribution": ""}
    warn_of_script(code, recorded.reporter, **options, objective_regex="Testing Loss: ([0-9\\.]+)")
    notes = recorded.events("note")
    floored = [note for note in notes if note["line"] == 6]
    assert floored, notes
    assert floored[0]["text"].startswith(f"{script}:6: ")
    assert floored[0]["code"]
    warn_of_script(find_code("hpo.py", "", "tune", LOCAL_CLOUD), recorded.reporter, **options, objective_regex="")
    assert recorded.events("note") == notes  # ours is not lectured about
