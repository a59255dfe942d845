"""requirements.txt: an environment on top of the container's python, made once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sagehound.localcloud.container import requirements


def package(folder: Path, name: str) -> Path:
    """A package that can be installed without a network and without a build tool."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "VALUE = 42\n")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return wheel


async def test_new_packages_beside_those_of_the_container(tmp_path: Path) -> None:
    wheel = package(tmp_path / "code", "sagehound_test_extra")
    listed = tmp_path / "code/requirements.txt"
    listed.write_text(f"./{wheel.name}\nnumpy\n")
    said: list[str] = []
    python = await requirements.environment(listed, sys.executable, tmp_path / "environments", said.append)
    program = "import sagehound_test_extra, numpy; print(sagehound_test_extra.VALUE)"
    assert await asyncio.to_thread(subprocess.check_output, [python, "-c", program], text=True) == "42\n"
    assert any("Requirement already satisfied: numpy" in line for line in said)
    said.clear()
    assert await requirements.environment(listed, sys.executable, tmp_path / "environments", said.append) == python
    assert said == []


async def test_one_installation_for_jobs_that_start_together(tmp_path: Path) -> None:
    listed = tmp_path / "code/requirements.txt"
    wheel = package(tmp_path / "code", "sagehound_test_extra")
    listed.write_text(f"./{wheel.name}\n")
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
    assert not list((tmp_path / "environments").iterdir())
