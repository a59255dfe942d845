"""What all environments of this machine share: the interpreter, the launcher, and how private an environment can be."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from sagehound.localcloud.functions import interpreter
from sagehound.localcloud.functions.freezing import Freezer
from sagehound.localcloud.functions.launcher import Launcher, Program, StartFailed
from sagehound.localcloud.functions.memory import MemoryWatch
from sagehound.localcloud.functions.sandbox import Sandbox
from sagehound.localcloud.functions.spec import FunctionSpec
from sagehound.localcloud.functions.variables import Paths
from sagehound.localcloud.interception.variables import wgetrc, wgetrc_beside
from sagehound.localcloud.processes.host_init import LINUX

FIRST_UID, UIDS = 2_000_000_000, 100_000
"""Users that no system gives to anybody; as root every environment is one of its own."""
USER_INSIDE = 993
"""The number of the user inside a user namespace, as on AWS."""


class Machine:
    """Made once; `start` begins to find out what the kernel allows, `ready` is when that is known.

    `bundle` is the file of CAs by which functions trust the cloud as AWS's hosts; without one they do not.
    """

    def __init__(self, folder: Path, hidden: tuple[Path, ...], sandbox: bool, bundle: Path | None = None) -> None:
        self._bundle = bundle if bundle is not None and bundle.exists() else None
        self._folder = folder
        self._hidden = [str(path.absolute()) for path in hidden]
        self._sandbox_wanted = sandbox
        self._next_uid = 0
        self._hosts = ""
        self.launcher = Launcher()
        self.memory = MemoryWatch()
        self.freezer = Freezer()
        self._preparing: asyncio.Task[None] | None = None
        self.private = False
        self.why_not_private = "only Linux has namespaces"

    def start(self) -> None:
        """Begin to prepare: the server's own start does not wait for it, the first environment does."""
        self._preparing = asyncio.create_task(self._prepare())

    async def ready(self) -> None:
        """Return when it is prepared."""
        assert self._preparing is not None, "started before it is used"
        await asyncio.shield(self._preparing)

    async def _prepare(self) -> None:
        """Lay out the interpreter, forget what an earlier server left, and try a sandbox."""
        await asyncio.to_thread(self._lay_out)
        if not self._sandbox_wanted:
            self.why_not_private = "it is switched off"
        elif LINUX:
            await self._try_sandbox()

    def _lay_out(self) -> None:
        shutil.rmtree(self._folder / "run", ignore_errors=True)
        hosts = Path("/etc/hosts")
        self._hosts = hosts.read_text() if hosts.exists() else "127.0.0.1 localhost\n"
        for name in ("root", "run", "layers", "empty"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._interpreter = interpreter.make(self._folder / "interpreter")
        _let_read(self._folder / "interpreter")
        _let_read(self._folder / "empty")

    async def _try_sandbox(self) -> None:
        """A program that does nothing, with the very interpreter, in a sandbox: works here or says why not."""
        sandbox = self._sandbox(self._folder / "empty", None, "", 1)
        python = f"{Paths().language}/bin/python{interpreter.VERSION}"
        program = Program([python, "-c", "import awslambdaric"], {"PYTHONPATH": Paths().runtime}, "/", sandbox)
        try:
            code = await self._run(program)
        except StartFailed as failure:
            self.why_not_private = str(failure)
            return
        self.private = code == 0
        self.why_not_private = "" if self.private else "the interpreter cannot be run by an unprivileged user"

    async def _run(self, program: Program) -> int | None:
        output = os.open(os.devnull, os.O_WRONLY)
        running = await self.launcher.start(program, output)
        ended = asyncio.Event()
        running.when_ended(ended.set)
        await ended.wait()
        return running.exit_code

    async def place(self, spec: FunctionSpec, name: str) -> Place:
        """A directory, or a root, for one more environment of this version."""
        layers = await asyncio.to_thread(self._prepared, spec)
        if self.private:
            return Place(self._paths_inside, self._sandbox(spec.code, layers, name, spec.ephemeral_storage), None)
        own = self._folder / "run" / token_hex(8)
        (own / "tmp").mkdir(parents=True, mode=0o700)
        given = self._interpreter
        paths = Paths(
            str(spec.code), str(layers or self._folder / "empty"), str(given.language), str(given.runtime),
            str(own / "tmp"), str(self._bundle or ""),
        )  # fmt: skip
        return Place(paths, None, own)

    @property
    def _paths_inside(self) -> Paths:
        """Of a sandbox."""
        return Paths() if self._bundle is not None else Paths(bundle="")

    def _sandbox(self, code: Path, layers: Path | None, name: str, tmp_mb: int) -> Sandbox:
        as_root = os.geteuid() == 0
        self._next_uid = (self._next_uid + 1) % UIDS
        user = FIRST_UID + self._next_uid if as_root else USER_INSIDE
        paths = self._paths_inside
        binds = [(str(path), str(path)) for path in self._interpreter.needed]
        binds += [
            (str(code), paths.task),
            (str(self._interpreter.language), paths.language),
            (str(self._interpreter.runtime), paths.runtime),
        ]
        if layers is not None:
            binds += [(str(path), f"{paths.layers}/{path.name}") for path in sorted(layers.iterdir())]
        files = {
            "/etc/hosts": f"127.0.0.1 {name or 'localhost'}\n{self._hosts}",
            "/etc/passwd": f"root:x:0:0:root:/root:/bin/sh\nsbx_user1051:x:{user}:{user}::/home/sbx_user1051:/bin/sh\n",
            "/etc/group": f"root:x:0:\nsbx_user1051:x:{user}:\n",
        }
        if self._bundle is not None:
            binds.append((str(self._bundle), paths.bundle))
            files[wgetrc_beside(paths.bundle)] = wgetrc(paths.bundle)
        return Sandbox(
            root=str(self._folder / "root"), binds=binds, files=files, hidden=self._hidden,
            tmp_mb=tmp_mb, user=user,
        )  # fmt: skip

    def _prepared(self, spec: FunctionSpec) -> Path | None:
        layers = self._merged(spec.layers)
        for folder in (spec.code, layers):
            if folder is not None:
                _let_read(folder)
        return layers

    def _merged(self, layers: tuple[Path, ...]) -> Path | None:
        """One folder with all layers laid over each other, the later ones on top; made once of hard links."""
        if len(layers) < 2:
            return layers[0] if layers else None
        digest = hashlib.sha256("\n".join(map(str, layers)).encode()).hexdigest()[:32]
        merged = self._folder / "layers" / digest
        if merged.is_dir():
            return merged
        part = merged.with_suffix("." + token_hex(4))
        for layer in layers:
            shutil.copytree(layer, part, symlinks=True, dirs_exist_ok=True, copy_function=_link_over)
        with suppress(OSError):  # another environment has been faster
            part.rename(merged)
        shutil.rmtree(part, ignore_errors=True)
        return merged

    async def close(self) -> None:
        """End every process that was started."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait([self._preparing])
        self.memory.close()
        self.freezer.close()
        self.launcher.close()

    def notes(self, spec: FunctionSpec) -> Iterator[str]:
        """What a function's log should say of this machine, as AWS says which runtime a function got."""
        asked = "" if spec.runtime == f"python{interpreter.VERSION}" else f" (asked for: {spec.runtime})"
        yield f"INIT_START Runtime Version: python:{interpreter.VERSION}{asked}"
        if not self.private:
            yield (
                f"WARNING this environment is not private on this machine ({self.why_not_private}): "
                "its code is at LAMBDA_TASK_ROOT, its own files at TMPDIR"
            )


class Place:
    """Where an environment runs: paths as it sees them, and what is to be removed after it."""

    def __init__(self, paths: Paths, sandbox: Sandbox | None, own: Path | None) -> None:
        self.paths = paths
        self.sandbox = sandbox
        self.own = own

    def program(self, handler: str, env: dict[str, str]) -> Program:
        """AWS's runtime client for a handler, in this place."""
        python = f"{self.paths.language}/bin/python{interpreter.VERSION}"
        return Program([python, "-m", "awslambdaric", handler], env, self.paths.task, self.sandbox)

    def remove(self) -> None:
        """Delete what the environment wrote; a sandbox's went with it."""
        if self.own is not None:
            shutil.rmtree(self.own, ignore_errors=True)


def _let_read(folder: Path) -> None:
    """Where the cloud's umask keeps others out, let an environment's user read; the data directory above stays shut."""
    if folder.stat().st_mode & 0o005 == 0o005:
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if path.is_dir() or mode & 0o100 else 0o044))
    folder.chmod(folder.stat().st_mode | 0o055)


def _link_over(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)
