"""Whether this machine has private roots, found out once; and which of its folders an instance sees."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import sagehound
from sagehound.localcloud.instances.disk import remove_tree
from sagehound.localcloud.processes.host_init import LINUX

INIT = "sagehound.localcloud.instances.init"
CODE_ROOT = str(Path(next(iter(sagehound.__path__))).parent)
INIT_ENV = {"PYTHONPATH": CODE_ROOT, "PYTHONDONTWRITEBYTECODE": "1"}
PROBE = "probe-"
INIT_COMMAND = (sys.executable, "-S", "-P", "-m", INIT)


class Privacy:
    """Asked before the first boot."""

    def __init__(self, data_dir: Path, wanted: bool) -> None:
        self._data_dir = data_dir
        self._wanted = wanted
        self._finding_out = asyncio.Lock()
        self._known = False
        self.private = False
        self.why_not = "only Linux has namespaces" if wanted else "they are switched off"

    async def find_out(self) -> None:
        """Try it, the first time."""
        async with self._finding_out:
            if not self._known and LINUX and self._wanted:
                await self._try()
            self._known = True

    async def _try(self) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        for left in self._data_dir.glob(f"{PROBE}*"):  # a server that was killed meanwhile
            await asyncio.to_thread(remove_tree, left)
        folder = Path(tempfile.mkdtemp(prefix=PROBE, dir=self._data_dir))
        try:
            tried = await asyncio.create_subprocess_exec(
                *INIT_COMMAND, "--probe", str(folder / "disk"), env=INIT_ENV, cwd="/",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, _none = await tried.communicate()
        finally:
            await asyncio.to_thread(remove_tree, folder)
        self.private = tried.returncode == 0
        lines = said.decode(errors="replace").strip().splitlines()
        self.why_not = "" if self.private else (lines[-1] if lines else f"exit code {tried.returncode}")

    @property
    def hidden(self) -> list[str]:
        """What no instance sees, wherever it lies."""
        return [str(self._data_dir.absolute())]


def python_folders() -> list[str]:
    """The folders of the Python that jobs have, outside of the system's own; links to it by their own names too."""
    found: list[str] = []
    prefixes = {os.path.realpath(sys.base_prefix), os.path.abspath(sys.base_prefix), os.path.abspath(sys.prefix)}
    for prefix in sorted(prefixes, key=len):
        inside = any(Path(prefix).is_relative_to(folder) for folder in ("/usr", *found))
        if not inside:
            found.append(prefix)
    return found
