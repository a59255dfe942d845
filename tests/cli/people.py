"""A person's commands under `sagehound exec`, started as a person starts them, in an environment of the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cloud_process import CloudProcess

WHO = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
"""Who the caller is, asked as scripts ask it: no address, no keys, no region."""


def exec_command(cloud: CloudProcess, *words: str, options: tuple[str, ...] = ()) -> list[str]:
    """The command line of `sagehound exec [OPTIONS] -- WORDS...` on a cloud."""
    return sagehound("exec", "--data-dir", str(cloud.data_dir), *options, "--", *words)


def sagehound(*words: str) -> list[str]:
    """The command line of `sagehound WORDS...`."""
    return [sys.executable, "-m", "sagehound.cli.main", *words]


def own_environment(home: Path, **further: str) -> dict[str, str]:
    """What a person has who knows nothing of AWS, the programs beside this Python first on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_", "XDG_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "HOME": str(home), **further}


def usual_signals() -> None:
    """In a child: as a terminal starts a program. What is started in the background ignores SIGINT, tests too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Person:
    """Runs commands on one cloud, with a home of its own."""

    def __init__(self, cloud: CloudProcess, home: Path) -> None:
        self.cloud = cloud
        self.home = home

    def run(
        self, *words: str, options: tuple[str, ...] = (), own: dict[str, str] | None = None, **given: Any
    ) -> subprocess.CompletedProcess[str]:
        """`sagehound exec OPTIONS -- WORDS...`; `own` are variables that the person has set."""
        settings: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 300, **given}
        return subprocess.run(
            exec_command(self.cloud, *words, options=options),
            cwd=self.home,
            env=own_environment(self.home, **(own or {})),
            check=False,
            preexec_fn=usual_signals,
            **settings,
        )

    def says(self, *words: str, **given: Any) -> str:
        """What a command that ends well has written."""
        done = self.run(*words, **given)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return str(done.stdout)

    def python(self, code: str, *words: str, **given: Any) -> str:
        """What a Python program that ends well has written."""
        return self.says(sys.executable, "-c", code, *words, **given).strip()
