"""The files of clients below the data directory: in place of ~/.aws, and the SageMaker SDK's settings."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SDK_DEFAULTS: dict[str, Any] = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}
"""What the SageMaker SDK is told: nothing is to be reported to anybody."""


class Files:
    """Made when they are asked for; ``notes`` says what of the person's own cannot count."""

    def __init__(self, data_dir: Path, region: str) -> None:
        self._folder = data_dir / "clients"
        self._region = region
        self.notes: list[str] = []

    def aws_config(self) -> Path:
        """In place of ~/.aws/config; what `aws configure set` writes there stays."""
        return self._kept("aws-config", f"[default]\nregion = {self._region}\n")

    def aws_credentials(self) -> Path:
        """In place of ~/.aws/credentials: profiles of users of this cloud may be added to it."""
        path = self._kept("aws-credentials", "")
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(path)
        except configparser.Error as error:
            self.notes.append(f"{path} cannot be read: {error}")
        else:
            if parser.has_option("default", "aws_access_key_id"):
                self.notes.append(f"[default] of {path} has keys: they go before the role")
        return path

    def role(self, name: str) -> str:
        """The ARN that a role had when it was last looked for; empty where it was not."""
        return str(self._roles().get(name, ""))

    def keep_role(self, name: str, arn: str) -> None:
        """Remember the ARN of a role."""
        self._replace("roles.json", json.dumps({**self._roles(), name: arn}))

    def _roles(self) -> dict[str, Any]:
        try:
            found = json.loads((self._folder / "roles.json").read_bytes())
        except (OSError, ValueError):  # it only saves time
            return {}
        return found if isinstance(found, dict) else {}

    def sagemaker_config(self, own: Mapping[str, str]) -> Path:
        """The SDK's file: the person's own, where there is one, with what the local cloud needs."""
        text = json.dumps(_merged(SDK_DEFAULTS, self._own_sagemaker_config(own)), indent=2, sort_keys=True) + "\n"
        return self.of_content("sagemaker", ".yaml", text)

    def of_content(self, name: str, suffix: str, text: str) -> Path:
        """A file that is never changed: another text is another file, so that a running command keeps its own."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self._kept(f"{name}-{digest}{suffix}", text)

    def folder_of_content(self, name: str, texts: Mapping[str, str]) -> Path:
        """As `of_content`, several files by their names in one folder."""
        digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:12]
        for file, text in texts.items():
            self._kept(f"{name}-{digest}/{file}", text)
        return self._folder / f"{name}-{digest}"

    def _kept(self, name: str, text: str) -> Path:
        """A file for its owner's eyes, there whole or not at all; one that is there already stays as it is."""
        path = self._folder / name
        if path.exists():
            return path
        new = self._new(path, text)
        try:
            os.link(new, path)
        except FileExistsError:  # another command was faster
            pass
        finally:
            new.unlink()
        return path

    def _replace(self, name: str, text: str) -> None:
        path = self._folder / name
        self._new(path, text).replace(path)

    def _new(self, path: Path, text: str) -> Path:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        return new

    def _own_sagemaker_config(self, own: Mapping[str, str]) -> dict[str, Any]:
        """What the SDK would read of the person's: where SAGEMAKER_USER_CONFIG_OVERRIDE says, or in its usual place."""
        import yaml  # type: ignore[import-untyped]

        named = own.get("SAGEMAKER_USER_CONFIG_OVERRIDE", "")
        if named.startswith("s3://"):
            self.notes.append(
                f"{named} (SAGEMAKER_USER_CONFIG_OVERRIDE) lies on AWS: the SageMaker SDK does without it"
            )
            return {}
        path = Path(named) if named else _usual_place(own)
        if path.is_dir():
            path /= "config.yaml"
        if not path.is_file():
            if named:
                self.notes.append(f"{named} (SAGEMAKER_USER_CONFIG_OVERRIDE) is not there")
            return {}
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            why = " ".join(str(error).split())
            self.notes.append(f"{path} cannot be read, the SageMaker SDK does without it: {why}")
            return {}
        return found if isinstance(found, dict) else {}


def _usual_place(own: Mapping[str, str]) -> Path:
    base = own.get("XDG_CONFIG_HOME", "").strip() or f"{own.get('HOME') or Path.home()}/.config"
    return Path(base) / "sagemaker" / "config.yaml"


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the person's own over ours where both say something."""
    found = dict(ours)
    for name, value in theirs.items():
        before = found.get(name)
        found[name] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found
