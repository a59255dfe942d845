"""The small programs of an instance by themselves: times of shutdown, archives that point elsewhere, addresses."""

from __future__ import annotations

import http.server
import os
import pwd
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path

import pytest

from sagehound.localcloud.instances import privacy, stand_ins
from sagehound.localcloud.instances.inside import shutdown, wget

ME = pwd.getpwuid(os.geteuid()).pw_name


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


@pytest.mark.parametrize(
    ("words", "split"),
    [
        (["-qO-"], ["-q", "-O", "-"]),
        (["-qO", "file"], ["-q", "-O", "file"]),
        (["-Ofile", "-nv"], ["-O", "file", "-nv"]),
        (["--output-document=file"], ["-O", "file"]),
        (["--quiet", "-", "http://x/-qO-"], ["--quiet", "-", "http://x/-qO-"]),
    ],
)
def test_options_of_wget_in_one_word(words: list[str], split: list[str]) -> None:
    assert [one for word in words for one in wget.split(word)] == split


def test_wget_writes_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("of a server")
    handler = partial(Silent, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/text"
            assert run("wget", "-qO-", address, cwd=tmp_path).stdout == "of a server"
            assert run("wget", "-qOcopy", address, cwd=tmp_path).stdout == ""
        finally:
            server.shutdown()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "text"]


class Silent(http.server.SimpleHTTPRequestHandler):
    """Says nothing on the terminal."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    "options", [["-Hu", ME], ["-EHu", ME], [f"-u{ME}"], ["-u", ME], [f"--user={ME}"], ["--user", ME]]
)
def test_sudo_takes_the_user_as_sudo_does(tmp_path: Path, options: list[str]) -> None:
    done = run("sudo", *options, "-n", "--", "sh", "-c", "echo $USER $1", "sh", "-i", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{ME} -i\n"), done.stderr
    assert "unknown user" in run("sudo", "-Hu", "no-such-user", "true", cwd=tmp_path).stderr


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
