"""The environment of everything that runs on an instance: root's, with AWS being the local cloud."""

from __future__ import annotations

from collections.abc import Mapping

from sagehound.localcloud.instances.stand_ins import SYSTEM_PATH, Inside


def environment(given: Mapping[str, str], inside: Inside, home: str) -> dict[str, str]:
    """The variables of a program of root; `given` are AWS_..."""
    return {
        "PATH": f"{inside.folder}:{SYSTEM_PATH}",
        "HOME": home,
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        # Scripts may write `conda activate pytorch` without sourcing anything first.
        "BASH_ENV": f"{inside.opt}/conda/etc/profile.d/conda.sh",
        **given,
    }
