"""requirements.txt: an environment on top of the container's python, made once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from sagehound.localcloud.container import requirements
from tests.container.packages import wheel


async def test_new_packages_beside_those_of_the_container(tmp_path: Path) -> None:
    archive = wheel(tmp_path / "code", "sagehound_test_extra")
    listed = tmp_path / "code/requirements.txt"
    listed.write_text(f"./{archive.name}\nnumpy\n")
    said: list[str] = []
    python = await requirements.environment(listed, sys.executable, tmp_path / "environments", said.append)
    program = "import sagehound_test_extra, numpy; print(sagehound_test_extra.VALUE)"
    assert await asyncio.to_thread(subprocess.check_output, [python, "-c", program], text=True) == "42\n"
    assert any("Requirement already satisfied: numpy" in line for line in said)
    said.clear()
    assert await requirements.environment(listed, sys.executable, tmp_path / "environments", said.append) == python
    assert said == []


async def test_what_an_installer_has_left_half_done_is_made_anew(tmp_path: Path) -> None:
    archive = wheel(tmp_path / "code", "sagehound_test_extra")
    listed = tmp_path / "code/requirements.txt"
    listed.write_text(f"./{archive.name}\n")
    environments = tmp_path / "environments"
    python = await requirements.environment(listed, sys.executable, environments, lambda line: None)
    place = Path(python).parent.parent
    (environments / f"{place.name}-killed/lib").mkdir(parents=True)
    place.unlink()
    said: list[str] = []
    assert await requirements.environment(listed, sys.executable, environments, said.append) == python
    assert said[0].startswith("Installing dependencies")
    assert [path for path in environments.glob(f"{place.name}-*") if path != place.resolve()] == []
    program = "import sagehound_test_extra as s, sys; print(s.VALUE, sys.prefix)"
    told = await asyncio.to_thread(subprocess.check_output, [python, "-c", program], cwd="/", text=True)
    assert told.split() == ["42", str(place)]


async def test_what_lies_beside_the_requirements_counts_by_its_content(tmp_path: Path) -> None:
    listed = tmp_path / "code/requirements.txt"
    pythons = set()
    for value in (1, 2):
        archive = wheel(tmp_path / "code/wheels", "sagehound_test_extra", value=value)
        listed.write_text(f"wheels/{archive.name}\n")
        pythons.add(
            await requirements.environment(listed, sys.executable, tmp_path / "environments", lambda line: None)
        )
    assert len(pythons) == 2


async def test_one_installation_for_jobs_that_start_together(tmp_path: Path) -> None:
    listed = tmp_path / "code/requirements.txt"
    archive = wheel(tmp_path / "code", "sagehound_test_extra")
    listed.write_text(f"./{archive.name}\n")
    said: list[str] = []
    jobs = [requirements.environment(listed, sys.executable, tmp_path / "environments", said.append) for _ in range(3)]
    assert len(set(await asyncio.gather(*jobs))) == 1
    assert len([line for line in said if line.startswith("Installing dependencies")]) == 1


async def test_what_cannot_be_installed_is_said_in_the_toolkits_words(tmp_path: Path) -> None:
    listed = tmp_path / "code/requirements.txt"
    listed.parent.mkdir()
    listed.write_text("./missing-1.0-py3-none-any.whl\n")
    with pytest.raises(requirements.InstallError, match=r"(?s)InstallRequirementsError:\nExitCode 1\n.*missing-1\.0"):
        await requirements.environment(listed, sys.executable, tmp_path / "environments", lambda line: None)
    assert not [path for path in (tmp_path / "environments").iterdir() if not path.name.startswith("commands-")]


SETUP = """
from setuptools import setup
setup(name="sagehound-test-package", version="1.0", package_dir={"": "src"}, packages=["inner"])
"""


async def test_a_package_is_installed_with_its_requirements_and_anew_when_it_has_changed(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    code, said = tmp_path / "code", list[str]()
    archive = wheel(code, "sagehound_test_extra")
    (code / "src/inner").mkdir(parents=True)
    (code / "src/inner/__init__.py").write_text("WORD = 'first'\n")
    (code / "setup.py").write_text(SETUP)
    listed = code / "requirements.txt"
    listed.write_text(f"./{archive.name}\n")

    async def install() -> str:
        return await requirements.environment(
            listed, sys.executable, tmp_path / "environments", said.append, package=True
        )

    first = await install()
    assert said[0].startswith("Installing module with the following command:\n")
    program = "import inner, sagehound_test_extra; print(inner.WORD)"
    assert await asyncio.to_thread(subprocess.check_output, [first, "-c", program], cwd="/", text=True) == "first\n"
    said.clear()
    assert await install() == first
    assert said == []
    (code / "src/inner/__init__.py").write_text("WORD = 'second'\n")
    second = await install()
    assert await asyncio.to_thread(subprocess.check_output, [second, "-c", program], cwd="/", text=True) == "second\n"


async def test_a_package_that_cannot_be_installed_is_said_in_the_toolkits_words(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("raise SystemExit('not today')\n")
    with pytest.raises(requirements.InstallError, match=r"(?s)InstallModuleError:\nExitCode 1\n"):
        await requirements.environment(
            tmp_path / "requirements.txt", sys.executable, tmp_path / "environments", lambda line: None, package=True
        )
