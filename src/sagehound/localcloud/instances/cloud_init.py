"""cloud-init's part of a boot: files are written, scripts run one by one, their output goes to log and console."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import shutil
import time
from collections.abc import Callable

from sagehound.localcloud.instances.boot_spec import BootSpec, Script, Write
from sagehound.localcloud.instances.children import safe_power, spawn
from sagehound.localcloud.instances.console import Console, read_available, write_all
from sagehound.localcloud.instances.loop import Loop

LOG, SCRIPTS = "/var/log/cloud-init-output.log", "/var/lib/cloud/instance/scripts"
FINISHED, RESULT = "/var/lib/cloud/instance/boot-finished", "/run/cloud-init/result.json"


class CloudInit:
    """One boot's steps. `done` is called after the last one."""

    def __init__(self, boot: BootSpec, loop: Loop, console: Console, done: Callable[[], None]) -> None:
        self._boot = boot
        self._loop = loop
        self._console = console
        self._done = done
        self._prefix = boot["prefix"]
        self._failed: list[str] = []
        self._log = self._open_log()
        self._source, self._sink = os.pipe()
        os.set_blocking(self._source, False)
        self._queue: list[Script] = []

    def _path(self, path: str) -> str:
        return self._prefix + path

    def _open_log(self) -> int:
        path = self._path(LOG)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o640)
        except OSError as error:
            self._failed.append("log")
            self._console.say(f"cloud-init[WARNING]: cannot write {LOG}: {error}")
            return os.open(os.devnull, os.O_WRONLY)

    def start(self, first: bool) -> None:
        """Begin; the loop goes on with it. Whatever an instance has done to its disk, it does not fail here."""
        self._loop.watch(self._source, self._pump)
        self._say(f"Cloud-init running modules:final at {_now()}. Up {self._console.uptime:.2f} seconds.")
        try:
            self._prepare()
            new = first and self._take_semaphore()
        except OSError as error:
            self._fail("init", f"cannot keep state: {error}")
            new = False
        steps = self._boot["steps"] if new else self._boot["later"]
        for note in steps["notes"]:
            self._say(f"cloud-init[WARNING]: {note}")
        if steps["failed"]:
            self._failed.append("user data")
        for write in steps["writes"]:
            self._write(write)
        self._queue = [*steps["early"], *steps["scripts"]]
        self._next()

    def _prepare(self) -> None:
        """The folders that cloud-init has; what an earlier boot left of its state goes."""
        folder = self._path(f"/var/lib/cloud/instances/{self._boot['instance_id']}")
        os.makedirs(f"{folder}/scripts", exist_ok=True)
        link = self._path("/var/lib/cloud/instance")
        if not os.path.islink(link):
            os.symlink(f"instances/{self._boot['instance_id']}", link)
        for path in (FINISHED, RESULT):
            if os.path.lexists(self._path(path)):
                os.unlink(self._path(path))

    def _take_semaphore(self) -> bool:
        """Once per instance, even where its owner did not come to keep that it has booted."""
        folder = self._path("/var/lib/cloud/instance/sem")
        os.makedirs(folder, exist_ok=True)
        try:
            os.close(os.open(f"{folder}/config_scripts_user", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            return False
        return True

    def _write(self, write: Write) -> None:
        path = self._path("/" + write["path"].lstrip("/"))
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | (os.O_APPEND if write["append"] else os.O_TRUNC)
            descriptor = os.open(path, flags, 0o600)
            write_all(descriptor, base64.b64decode(write["content"]))
            os.close(descriptor)
            os.chmod(path, write["mode"])
            self._give(path, write["owner"])
        except (OSError, LookupError, OverflowError, ValueError) as error:
            self._fail("write-files", f"cannot write {write['path']}: {error}")

    def _give(self, path: str, owner: str) -> None:
        if owner in ("root", "root:root", "") or self._prefix:
            return
        name, _, group = owner.partition(":")
        user = pwd.getpwnam(name)
        os.chown(path, user.pw_uid, grp.getgrnam(group).gr_gid if group else user.pw_gid)

    def _next(self) -> None:
        """Run the next script; after the last one say that the boot is finished."""
        if not self._queue:
            self._finish()
            return
        script = self._queue.pop(0)
        inside = f"{SCRIPTS}/{script['name']}"
        try:
            self._put(self._path(inside), safe_power(base64.b64decode(script["content"]), self._prefix))
            pid = self._run(self._path(inside))
        except OSError as error:
            self._fail("scripts-user", f"cannot run {inside}: {error.strerror or error}")
            self._next()
            return
        self._loop.when_ended(pid, lambda code: self._ended(inside, code))

    def _put(self, path: str, content: bytes) -> None:
        """A script's file; an earlier one may have cleared the folder, as those do that prepare an image."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK
        with open(os.open(path, flags, 0o700), "wb") as file:
            file.write(content)

    def _run(self, path: str) -> int:
        null = os.open(os.devnull, os.O_RDONLY)
        outputs = (null, self._sink, self._sink)
        try:
            return spawn([path], self._boot["env"], self._prefix or "/", outputs, die_with_parent=bool(self._prefix))
        finally:
            os.close(null)

    def _ended(self, path: str, code: int) -> None:
        self._pump()
        if code != 0:
            self._fail("scripts-user", f"Failed running {path} [{code}]")
        self._next()

    def _finish(self) -> None:
        if self._failed:
            modules = ", ".join(sorted(set(self._failed)))
            self._say(f"cloud-init[WARNING]: Failed to run {modules} (scripts in {SCRIPTS}); the instance runs on")
        finished = f"Cloud-init finished at {_now()}. Datasource DataSourceEc2.  Up {self._console.uptime:.2f} seconds"
        self._say(finished)
        try:
            with open(self._path(FINISHED), "w", opener=_at_once) as file:
                file.write(f"{self._console.uptime:.2f} - {_now()}\n")
        except OSError as error:
            self._fail("final-message", f"Failed to write boot finished file {FINISHED}: {error.strerror}")
        self._tell_result()
        self._done()

    def _tell_result(self) -> None:
        """For `cloud-init status`; scripts that read it themselves find what cloud-init writes."""
        path = self._path(RESULT)
        errors = sorted(set(self._failed))
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(f"{path}.new", "w", opener=_at_once) as file:
                json.dump({"v1": {"datasource": "DataSourceEc2", "errors": errors}}, file, indent=1)
            os.replace(f"{path}.new", path)
        except OSError as error:
            self._fail("final-message", f"Failed to write {RESULT}: {error.strerror}")

    def _fail(self, module: str, text: str) -> None:
        self._failed.append(module)
        self._say(f"cloud-init[WARNING]: {text}")

    def _say(self, text: str) -> None:
        self._console.say(text, self._log)

    def _pump(self) -> None:
        while (data := read_available(self._source)) is not None:
            self._console.write(data)
            write_all(self._log, data)

    def close(self) -> None:
        """The instance goes down; everything that could write has ended."""
        self._pump()
        self._loop.forget(self._source)
        for descriptor in (self._source, self._sink, self._log):
            os.close(descriptor)


def _at_once(path: str, flags: int) -> int:
    """A pipe that a script has put there, and that nobody reads, is an error and nothing to wait for."""
    return os.open(path, flags | os.O_NONBLOCK, 0o644)


def _now() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())


def clear(folder: str) -> None:
    """Empty a folder that no boot keeps (/run)."""
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
