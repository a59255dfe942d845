"""A notebook instance before its programs start: its directory, its environment, its scripts, its role's session."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sagehound.localcloud.container import serving
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.instances.disk import remove_tree
from sagehound.localcloud.interception.variables import bundle_of, client_variables
from sagehound.localcloud.notebooks.inside import links, state
from sagehound.localcloud.processes.supervisor import Host, Program
from sagehound.localcloud.services.sagemaker.notebook_status import Record
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import PRINCIPAL, SESSION

SESSION_SECONDS = 43_200
"""How long the role's credentials last, on the clock of the cloud."""
SCRIPT_SECONDS = 300
"""What a lifecycle script may take, on the clock of the cloud."""
ON_CREATE, ON_START = "LifecycleConfigOnCreate", "LifecycleConfigOnStart"
"""The hooks by the names of their log streams."""
HOME = "/home/ec2-user"
KEPT = "SageMaker"
"""The folder of HOME that stays over stop and start, and the one that JupyterLab shows."""
_INSIDE = Path(state.__file__).parent
_PATH = "/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin"


class NotebookHome:
    """The directory of one instance: `user` is /home/ec2-user there, `own` is what the cloud and it share."""

    def __init__(self, region: str, name: str, providers: Providers) -> None:
        self.root = providers.data_dir / "sagemaker" / "notebooks" / f"{region}.{name}"
        self._own = self.root / "own"
        self._user = self.root / "user"
        self._region = region
        self._providers = providers

    @property
    def host(self) -> Host:
        """The machine that the instance is."""
        return Host("notebook", self.root, folders={HOME: self._user})

    async def prepare(self, record: Record, scripts: list[tuple[str, str]]) -> Program:
        """Lay everything out for a start with these lifecycle scripts (hook, base64), and say what to run."""
        python = self._providers.settings.images.get(record["PlatformIdentifier"], sys.executable)
        await asyncio.to_thread(self._lay_out, record, scripts, python)
        endpoint_url = self._providers.endpoint_url()
        bundle = str(bundle_of(self._providers.data_dir))
        environment = {
            # AWS's own hosts are the cloud, too; the notebook's host is itself.
            **client_variables(endpoint_url, bundle, self._region, direct=[self.host.name]),
            "PATH": f"{Path(python).parent}:{_PATH}",
            "HOME": HOME,
            "USER": "ec2-user",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_CONFIG_FILE": str(self._own / "aws-config"),
        }
        argv = [python, "-I", str(_INSIDE), "instance", str(self._own / "instance.json")]
        return Program(argv, environment, Path(HOME))

    def state(self) -> dict[str, Any]:
        """How far the instance has come since it was started."""
        return state.read(self._own)

    def port(self) -> int | None:
        """The port of its JupyterLab; None before there is one."""
        try:
            return int((self._own / state.PORT_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def link(self, seconds: int) -> str:
        """An address that opens a session of so many seconds, once, within five minutes."""
        token = links.issue((self._own / state.KEY_FILE).read_bytes(), time.time(), seconds)
        return f"http://127.0.0.1:{self.port()}/login?authToken={token}"

    def renew_session(self, record: Record, say: Callable[[str], None]) -> None:
        """Fresh credentials of the instance's role, from now on for half a day.

        None when the role is gone or trusts SageMaker no more. Then those of before go too: they may be another role's,
        which the instance had before an update.
        """
        role_arn = record["RoleArn"]
        try:
            self._providers.roles.role_trust(role_arn, PRINCIPAL, record["NotebookInstanceArn"])
            session = self._providers.sessions.issue(role_arn, SESSION, SESSION_SECONDS)
        except AwsError as error:
            (self._own / serving.SESSION_FILE).unlink(missing_ok=True)
            say(f"The notebook instance has no credentials: {error.message}")
        else:
            self._make_folders()
            # AWS's SDKs renew by the real clock, which this cloud's may be faster than.
            ends = datetime.fromtimestamp(time.time() + SESSION_SECONDS / self._providers.clock.speed, UTC)
            serving.write_session(self._own, {**session, "Expiration": ends})

    async def remove(self) -> None:
        """Delete it all, also what the user has made read-only."""
        await asyncio.to_thread(remove_tree, self.root)

    def _lay_out(self, record: Record, scripts: list[tuple[str, str]], python: str) -> None:
        """Only KEPT is what it was: as on AWS, everything else of the instance is new at each start."""
        self._make_folders()
        for name in (state.STATE_FILE, state.PORT_FILE):
            (self._own / name).unlink(missing_ok=True)
        remove_tree(self._own / state.USED_FOLDER)
        _write_private(self._own / state.KEY_FILE, secrets.token_bytes(32))
        for entry in self._user.iterdir():
            if entry.is_symlink() or not entry.is_dir():
                entry.unlink()
            elif entry.name != KEPT:
                remove_tree(entry)
        (self._user / KEPT).mkdir(exist_ok=True)
        self._write_activate(python)
        metadata = self.root / "opt" / "ml" / "metadata" / "resource-metadata.json"
        metadata.parent.mkdir(parents=True, exist_ok=True)
        names = {"ResourceArn": record["NotebookInstanceArn"], "ResourceName": record["NotebookInstanceName"]}
        metadata.write_text(json.dumps(names))
        hooks = [(hook, str(self._write_script(hook, content))) for hook, content in scripts]
        spec = {
            "hooks": hooks,
            "limit": SCRIPT_SECONDS / self._providers.clock.speed,
            "jupyter": [python, str(_INSIDE), "jupyter", str(self._own)],
            "folder": str(self._own),
            "shown": KEPT,
        }
        _write_private(self._own / "instance.json", json.dumps(spec).encode())

    def _make_folders(self) -> None:
        """All of it is for this user of the machine alone: keys, and what the scripts print."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self._own, self._user):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _write_script(self, hook: str, content: str) -> Path:
        path = self._own / hook.removeprefix("LifecycleConfig")
        _write_private(path, base64.b64decode(content))
        path.chmod(0o700)
        return path

    def _write_activate(self, python: str) -> None:
        """`source /home/ec2-user/anaconda3/bin/activate ENVIRONMENT`, with which most lifecycle scripts begin."""
        activate = self._user / "anaconda3" / "bin" / "activate"
        activate.parent.mkdir(parents=True)
        activate.write_text(f'export PATH="{Path(python).parent}:$PATH"\n')


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
