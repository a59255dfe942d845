"""The inference container's contract with SageMaker: what lies under /opt/ml/model, and how its server is started."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagehound.localcloud.container import archives, training

MODEL_SERVER = Path(__file__).with_name("model_server")
PORT_FILE = "port"
SESSION_FILE = "aws-session.json"
STARTED_FILE = "started"
KEY_FILE = "key"
"""What every request must bring: who may invoke is decided by IAM, and the port is open to the whole machine."""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ModelDataError(Exception):
    """model.tar.gz cannot be unpacked; the text is what FailureReason says."""


@dataclass(frozen=True, slots=True)
class ServingContainer:
    """What one instance of an endpoint is told."""

    endpoint_name: str
    region: str
    endpoint_url: str
    instance_type: str
    num_cpus: int
    python_directory: str
    """The folders of the instance's python: first on the PATH."""
    home: Path
    """Its working directory, outside /opt/ml: HOME, the port it has taken, its role's session."""
    client: dict[str, str] = field(default_factory=dict)
    """With what unmodified clients find this cloud where they look for AWS."""
    user: dict[str, str] = field(default_factory=dict)
    """Environment of the model's container definition."""


def serving_environment(container: ServingContainer) -> dict[str, str]:
    """Every variable of the container, built from scratch; the model's own Environment wins where AWS lets it."""
    home = container.home
    return {
        **container.client,
        "PATH": f"{container.python_directory}:{_SYSTEM_PATH}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": container.region,
        "AWS_DEFAULT_REGION": container.region,
        "AWS_ENDPOINT_URL": container.endpoint_url,
        "AWS_CONFIG_FILE": str(home / "aws-config"),
        "SAGEMAKER_REGION": container.region,
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "TORCH_HOME": f"/opt/ml/{training.TORCH_HOME}",
        "SM_CURRENT_INSTANCE_TYPE": container.instance_type,
        "SM_NUM_CPUS": str(container.num_cpus),
        **container.user,
        "SM_MODEL_DIR": "/opt/ml/model",
        "ENDPOINT_NAME": container.endpoint_name,
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SAGEMAKER_PORT_FILE": str(home / PORT_FILE),
        "SAGEMAKER_STARTED_FILE": str(home / STARTED_FILE),
        "SAGEMAKER_KEY_FILE": str(home / KEY_FILE),
    }


def serving_command(python: str) -> list[str]:
    """The model server, by path: nothing of ours is importable beside the user's code."""
    return [python, str(MODEL_SERVER)]


def write_session(home: Path, credentials: dict[str, Any]) -> None:
    """Give the container its execution role's session, in the way that AWS's SDKs renew by themselves.

    They run `credential_process` again when what it printed has expired; a variable would be stale after 12 hours.
    """
    session = home / SESSION_FILE
    new = home / "aws-session.new"
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    expiration = credentials["Expiration"]
    content = {
        "Version": 1,
        **{name: credentials[name] for name in names},
        "Expiration": expiration if isinstance(expiration, str) else expiration.isoformat(),
    }
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    new.replace(session)
    config = home / "aws-config"
    if not config.exists():
        config.write_text(f'[default]\ncredential_process = /bin/cat "{session}"\n')


def write_key(home: Path) -> None:
    """A new key of an instance, for its owner's eyes only."""
    path = home / KEY_FILE
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32))


def unpack_model(archive: Path, folder: Path) -> None:
    """Unpack model.tar.gz into `folder`; nothing outside it can be written, devices and outward links are refused."""
    try:
        archives.unpack(archive, folder)
    except archives.BROKEN as error:
        raise ModelDataError(f"The model data cannot be unpacked: {error}") from error


def link_model(unpacked: Path, folder: Path) -> None:
    """Give an instance its /opt/ml/model: hard links to the unpacked files, which are read-only. Blocking."""
    shutil.copytree(unpacked, folder, symlinks=True, copy_function=os.link, dirs_exist_ok=True)


def make_read_only(folder: Path) -> None:
    """Take the write permission from every file: instances share them."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
