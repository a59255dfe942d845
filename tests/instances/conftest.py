"""The engine over a temporary directory, instances of it, and what they have told at their ends."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.instances.engine import Instances
from sagehound.localcloud.instances.spec import Command, Ending, Handle, InstanceSpec
from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.supervisor import Exit
from tests.waiting import until

from .facts import Facts


@dataclass
class Lab:
    """An engine, and the instances that a test has booted with it."""

    data_dir: Path
    private: bool = True
    metadata: Facts = field(default_factory=Facts)
    endings: dict[str, Ending] = field(default_factory=dict)
    specs: list[InstanceSpec] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = Instances(self.data_dir, LocalSupervisor(), self.private)

    def spec(self, user_data: str | bytes | None = None, name: str = "i-0a1", **members: object) -> InstanceSpec:
        data = textwrap.dedent(user_data).lstrip().encode() if isinstance(user_data, str) else user_data
        values: dict[str, object] = {
            "region": "us-east-1", "image": "Deep Learning AMI", "instance_type": "t2.small", "vcpus": 1,
            "memory_mib": 2048, "hostname": "ip-172-31-5-4", "private_ip": "172.31.5.4", "public_keys": (),
        }  # fmt: skip
        return InstanceSpec(name, user_data=data, root=self.data_dir / "ec2" / name, **(values | members))  # type: ignore[arg-type]

    async def boot(self, spec: InstanceSpec, first: bool = True, **env: str) -> Handle:
        self.specs.append(spec)
        self.endings.pop(spec.instance_id, None)
        return await self.engine.boot(spec, self.metadata, env, first, self.on_end)

    def on_end(self, instance_id: str, ending: Ending) -> None:
        assert instance_id not in self.endings, "told once"
        self.endings[instance_id] = ending

    def console(self, spec: InstanceSpec) -> str:
        return self.engine.console(spec).decode()

    async def booted(self, spec: InstanceSpec, boots: int = 1) -> str:
        """The console once user data has been carried out."""
        await until(lambda: self.console(spec).count("login:") == boots or spec.instance_id in self.endings)
        return self.console(spec)

    async def ended(self, spec: InstanceSpec) -> Ending:
        await until(lambda: spec.instance_id in self.endings)
        return self.endings[spec.instance_id]

    async def sh(self, handle: Handle, script: str, **env: str) -> tuple[Exit, str]:
        """Run a shell script on the instance: how it ended, and all that it wrote."""
        parts: list[bytes] = []
        command = Command(("/bin/bash", "-c", textwrap.dedent(script)), 60, env)
        done = await self.engine.run(handle, command, parts.append, parts.append)
        return done, b"".join(parts).decode()


def processes_of(folder: Path) -> list[int]:
    """Every process that has to do with this folder: by its command line, or by what is mounted in its namespace."""
    found = []
    for process in psutil.process_iter():
        try:
            mounts = Path(f"/proc/{process.pid}/mountinfo").read_text()
            if str(folder) in " ".join(process.cmdline()) or str(folder) in mounts:
                found.append(process.pid)
        except (OSError, psutil.Error):
            continue
    return found


@pytest.fixture(params=["private", "plain"])
async def lab(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """With private roots, and as where there are none."""
    made = Lab(tmp_path / "data", request.param == "private")
    if made.private:
        await _skip_without_roots(made)
    yield made
    await _end(made)


@pytest.fixture
async def private_lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """For what only a private root has."""
    made = Lab(tmp_path / "data")
    await _skip_without_roots(made)
    yield made
    await _end(made)


async def _skip_without_roots(lab: Lab) -> None:
    why = await lab.engine.why_not_private()
    if why:
        pytest.skip(f"this machine has no private roots: {why}")


async def _end(lab: Lab) -> None:
    for spec in lab.specs:
        await lab.engine.remove(spec)
    await lab.engine.close()
    await asyncio.sleep(0)
