"""A python of a job's own: what is installed in it stays in it, and it has all that the one below has."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from sagehound.localcloud.container import installer, own_python
from sagehound.localcloud.container.own_python import Interpreter, OwnPython, PythonError
from tests.container.packages import wheel

PYTHONS = [python for python in (sys.executable, "/usr/bin/python3") if Path(python).exists()]
OUTSIDE = ["-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('sagehound_inside') is not None)"]


def facts(python: str) -> Interpreter:
    return asyncio.run(own_python.interpreter(python))


def made(folder: Path, python: str = sys.executable) -> OwnPython:
    return own_python.make(folder / "own", facts(python), folder / "shared")


def environment(own: OwnPython, home: Path) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    return {"PATH": f"{own.path}:/usr/bin:/bin", "HOME": str(home), **own.variables}


def run(own: OwnPython, tmp_path: Path, code: str) -> str:
    return subprocess.run(
        [own.python, "-c", code], env=environment(own, tmp_path / "home"), cwd=tmp_path, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    "install",
    [
        "subprocess.check_call([sys.executable, '-m', 'pip', 'install', wheel])",
        "assert os.system('pip install ' + wheel) == 0",
        "assert os.system('pip3 install --user ' + wheel) == 0",
        "from pip._internal.cli.main import main; assert main(['install', wheel]) == 0",
    ],
)
def test_what_a_script_installs_is_its_own_and_there_at_once(tmp_path: Path, python: str, install: str) -> None:
    own = made(tmp_path, python)
    (tmp_path / "home/.local/lib" / f"python{facts(python).version}" / "site-packages").mkdir(parents=True)
    code = (
        "import json, os, subprocess, sys\nwheel = sys.argv[1] if len(sys.argv) > 1 else os.environ['WHEEL']\n"
        f"{install}\nimport sagehound_inside\nprint(json.dumps([sagehound_inside.VALUE, sagehound_inside.__file__]))\n"
    )
    given = {**environment(own, tmp_path / "home"), "WHEEL": str(wheel(tmp_path, "sagehound_inside"))}
    done = subprocess.run([own.python, "-c", code], env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value, place = json.loads(done.stdout.splitlines()[-1])
    assert value == 42
    assert Path(place).is_relative_to(tmp_path)
    assert subprocess.run([python, *OUTSIDE], cwd="/", check=False).returncode == 0


def test_everything_of_the_one_below_is_there_and_nothing_else(tmp_path: Path) -> None:
    own = made(tmp_path)
    told = "import json, sys; print(json.dumps([p for p in sys.path if 'packages' in p]))"
    plain = json.loads(subprocess.check_output([sys.executable, "-I", "-c", told], text=True))
    inside = json.loads(run(own, tmp_path, told))
    assert inside[0].startswith(str(tmp_path / "own"))
    assert inside[1:] == plain
    assert run(own, tmp_path, "import numpy; print('there')") == "there\n"


def test_programs_of_the_one_below_run_with_the_own_one(tmp_path: Path) -> None:
    below = made(tmp_path / "below")
    archive = wheel(tmp_path, "sagehound_tells", program="tell-python")
    subprocess.run([below.python, "-m", "pip", "install", "-q", str(archive)], env=installer.environment(), check=True)
    own = made(tmp_path, below.python)
    given = environment(own, tmp_path / "home")
    assert subprocess.check_output(["tell-python"], env=given, text=True).strip() == own.python
    assert subprocess.check_output(["/bin/sh", "-c", "command -v python3"], env=given, text=True).strip() == str(
        Path(own.python).with_name("python3")
    )
    # Of the third one from below as well: torchrun lies beside the python of these tests.
    assert str(Path(sys.executable).parent) in own.path
    assert run(own, tmp_path, "import sagehound_tells, numpy; print(sagehound_tells.VALUE)") == "42\n"


def test_an_environment_without_pip_has_one_inside(tmp_path: Path) -> None:
    venv.EnvBuilder(with_pip=False).create(tmp_path / "bare")
    own = made(tmp_path, str(tmp_path / "bare/bin/python"))
    archive = wheel(tmp_path, "sagehound_inside")
    assert "42\n" in run(
        own,
        tmp_path,
        f"import os\nassert os.system('pip install {archive}') == 0\nimport sagehound_inside as s; print(s.VALUE)",
    )


def test_a_sitecustomize_of_the_users_own_is_run(tmp_path: Path) -> None:
    own = made(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/sitecustomize.py").write_text("import sys; sys.customised = True\n")
    given = {**environment(own, tmp_path / "home"), "PYTHONPATH": str(tmp_path / "code")}
    assert subprocess.check_output([own.python, "-c", "import sys; print(sys.customised)"], env=given) == b"True\n"


def test_packages_that_came_later_are_noticed(tmp_path: Path) -> None:
    below = made(tmp_path)
    before = facts(below.python)
    assert before.torch == facts(sys.executable).torch
    (Path(before.sites[0]) / "torch").mkdir()
    (Path(before.sites[0]) / "torch/__init__.py").write_text("")
    (Path(before.sites[0]) / "torch/version.py").write_text("__version__ = '9.8.7+own'\n")
    os.utime(before.sites[0], (1, 1))
    assert facts(below.python).torch == "9.8.7+own"


def test_an_interpreter_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(PythonError, match=r"/no/such/python cannot be run"):
        facts("/no/such/python")
    (tmp_path / "broken").write_text("#!/bin/sh\necho out of order >&2\nexit 3\n")
    (tmp_path / "broken").chmod(0o755)
    with pytest.raises(PythonError, match="broken cannot be used: out of order"):
        facts(str(tmp_path / "broken"))
    (tmp_path / "broken").write_text("#!/bin/sh\necho 4.2\n")
    with pytest.raises(PythonError, match=r"broken cannot be used: 4\.2"):
        facts(str(tmp_path / "broken"))
    (tmp_path / "talks").write_text(f'#!/bin/sh\necho Welcome\nexec {sys.executable} "$@"\n')
    (tmp_path / "talks").chmod(0o755)
    assert facts(str(tmp_path / "talks")).version == facts(sys.executable).version


def test_settings_of_pip_reach_the_job_but_for_those_that_lead_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "sagehound_inside")
    (tmp_path / "person/.config/pip").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "person/.config/pip/pip.conf").write_text("[global]\nno-index = true\nuser = true\n")
    for name, value in {
        "HOME": str(tmp_path / "person"),
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_TARGET": str(elsewhere),
        "PIP_USER": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    own = made(tmp_path)
    code = (
        "import os\nassert os.system('pip install sagehound_inside') == 0\n"
        "import sagehound_inside as s; print(s.VALUE, s.__file__)"
    )
    value, place = run(own, tmp_path, code).splitlines()[-1].split()
    assert (value, Path(place).is_relative_to(tmp_path / "own")) == ("42", True)
    assert not elsewhere.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_installs_into_it(tmp_path: Path) -> None:
    for parent in tmp_path, *tmp_path.parents:
        if "pytest" in str(parent):
            parent.chmod(0o755)
    begins = ["sh", "-c", 'exec "$0" -c ""']
    able = [p for p in PYTHONS if subprocess.run([*begins, p], user="nobody", check=False).returncode == 0]
    if not able:
        pytest.skip("user nobody can run no Python here")
    own = made(tmp_path, able[0])
    archive = wheel(tmp_path, "sagehound_inside")
    given = environment(own, tmp_path / "home")
    subprocess.run(["chown", "-R", "nobody", str(tmp_path / "own"), str(tmp_path / "home")], check=True)
    script = f"pip install {archive} && python -c 'import sagehound_inside as s; print(s.VALUE, s.__file__)'"
    done = subprocess.run(
        ["/bin/sh", "-c", script], user="nobody", env=given, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"42 {tmp_path / 'own'}")
