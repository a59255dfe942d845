"""The root keys: made at the first start, in a file that only their owner can read."""

from __future__ import annotations

import configparser
import os
import secrets
import string
from pathlib import Path

from sagehound.localcloud.call import Caller, Credential


def load_or_make(path: Path, account_id: str, region: str) -> Credential:
    """The root credential in `path`, an AWS shared-credentials file of mode 0600; made when missing."""
    if not path.exists():
        _make(path, region)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    try:
        access_key_id = parser["default"]["aws_access_key_id"]
        secret_access_key = parser["default"]["aws_secret_access_key"]
    except KeyError as missing:
        raise ValueError(f"{path}: {missing} is missing; delete the file and new root keys are made") from missing
    arn = f"arn:aws:iam::{account_id}:root"
    caller = Caller(arn, account_id, account_id, access_key_id, is_root=True)
    return Credential(access_key_id, secret_access_key, caller)


def _make(path: Path, region: str) -> None:
    alphabet = string.ascii_uppercase + "234567"
    key = "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16))
    text = (
        "[default]\n"
        f"aws_access_key_id = {key}\n"
        f"aws_secret_access_key = {secrets.token_urlsafe(30)}\n"
        f"region = {region}\n"
    )
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
