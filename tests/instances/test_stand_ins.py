"""The small programs of an instance by themselves: times of shutdown, archives that point elsewhere, addresses."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sagehound.localcloud.instances import privacy, stand_ins
from sagehound.localcloud.instances.inside import shutdown


@pytest.mark.parametrize(
    ("name", "words", "wanted"),
    [
        ("shutdown", ["-h", "now"], {"do": "poweroff", "in": 0, "message": ""}),
        ("shutdown", ["-r", "+5", "bye", "all"], {"do": "reboot", "in": 300, "message": "bye all"}),
        ("shutdown", [], {"do": "poweroff", "in": 60, "message": ""}),
        ("shutdown", ["-c"], {"do": "cancel"}),
        ("shutdown", ["-k", "now"], {"do": "warn"}),
        ("reboot", [], {"do": "reboot", "in": 0}),
        ("halt", ["-f"], {"do": "poweroff", "in": 0}),
    ],
)
def test_what_is_asked_for(name: str, words: list[str], wanted: dict[str, object]) -> None:
    assert shutdown.wanted(name, words) == wanted


@pytest.mark.parametrize("words", [["--fast"], ["-h", "25:00"], ["soon"]])
def test_what_is_not_understood(words: list[str]) -> None:
    with pytest.raises(ValueError):
        shutdown.wanted("shutdown", words)


def test_a_time_of_the_day_is_within_a_day() -> None:
    assert 0 < shutdown.seconds("23:59") <= 86_400


def run(name: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-I", str(stand_ins.INSIDE / f"{name}.py"), *words]
    return subprocess.run(program, cwd=cwd, capture_output=True, text=True, check=False)


def test_unzip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/text", "new")
        archive.writestr("../outside", "x")
        script = zipfile.ZipInfo("run.sh")
        script.external_attr = 0o755 << 16
        archive.writestr(script, "#!/bin/sh\n")
    assert run("unzip", "-q", "a", "-d", "out", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out/folder/text").read_text() == "new"
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o111
    assert not (tmp_path / "outside").exists()
    (tmp_path / "out/folder/text").write_text("old")
    assert "not replaced" in run("unzip", "a.zip", "-d", "out", cwd=tmp_path).stderr
    assert (tmp_path / "out/folder/text").read_text() == "old"
    assert run("unzip", "-o", "a.zip", "folder/text", "-d", "out", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out/folder/text").read_text() == "new"
    (tmp_path / "none.zip").write_text("no archive")
    assert run("unzip", "none.zip", cwd=tmp_path).returncode == 9


def test_wget_of_what_is_not_there(tmp_path: Path) -> None:
    assert run("wget", "http://127.0.0.1:1/x.zip", cwd=tmp_path).returncode == 4
    assert run("wget", "--mirror", "http://127.0.0.1:1/", cwd=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_system_python_does_not_hide_the_stand_ins(tmp_path: Path) -> None:
    stand_ins.put(tmp_path, stand_ins.Inside("/opt", "/usr/bin/python3"))
    assert 'PATH="/opt/pytorch/bin:$_OLD' in (tmp_path / "opt/sagehound/bin/activate").read_text()
    stand_ins.put(tmp_path, stand_ins.Inside("/opt", "/srv/venv/bin/python3"))
    assert 'PATH="/opt/pytorch/bin:/srv/venv/bin:$_OLD' in (tmp_path / "opt/sagehound/bin/activate").read_text()


def test_the_folders_of_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "link"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "real/venv"))
    assert sorted(privacy.python_folders()) == [str(tmp_path / "link"), str(tmp_path / "real")]
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "prefix", "/usr/local")
    assert privacy.python_folders() == []
