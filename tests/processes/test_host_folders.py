"""Further private directories of a host: what a program finds at a path inside, and nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagehound.localcloud.processes.host_init import without_private_paths
from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.supervisor import Host, Program


@pytest.mark.parametrize("inside", ["/home/sagehound-test", "/mnt"])
async def test_a_folder_is_at_its_path_inside_and_only_there(tmp_path, inside) -> None:
    """Where there is no such directory, and where there is one already."""
    there = Path(inside).exists()
    neighbours = sorted(entry.name for entry in Path(inside).parent.iterdir())
    folder, lines = tmp_path / "own", list[str]()
    folder.mkdir()
    (folder / "before").write_text("1")
    supervisor = LocalSupervisor()
    host = Host("host", tmp_path / "root", folders={inside: folder})
    script = f"cd {inside} && ls && echo new > after; ls -A {Path(inside).parent}"
    handle = await supervisor.start(host, Program(["/bin/sh", "-c", script], {"PATH": "/bin:/usr/bin"}, Path("/")))
    await supervisor.follow(handle, lambda _time, line: lines.append(line))
    assert lines[0] == "before"
    assert set(lines[1:]) == {*neighbours, Path(inside).name}
    assert (folder / "after").read_text() == "new\n"
    assert Path(inside).exists() is there
    assert sorted(entry.name for entry in Path(inside).parent.iterdir()) == neighbours


def test_where_nothing_can_be_mounted_a_program_is_told_where_its_folders_are() -> None:
    spec = {
        "argv": ["/bin/sh", "/home/ec2-user/run.sh", "/opt/ml/model"],
        "env": {"HOME": "/home/ec2-user", "OTHER": "/home/ec2-users:/x/home/ec2-user"},
        "cwd": "/home/ec2-user/SageMaker",
        "opt_ml": "/data/opt/ml",
        "folders": {"/home/ec2-user": "/data/user"},
    }
    without_private_paths(spec)
    assert spec["argv"] == ["/bin/sh", "/data/user/run.sh", "/data/opt/ml/model"]
    assert spec["env"] == {"HOME": "/data/user", "OTHER": "/home/ec2-users:/x/home/ec2-user"}
    assert spec["cwd"] == "/data/user/SageMaker"
