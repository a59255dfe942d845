"""The command shell: the person's own shell, with AWS being the local cloud."""

from __future__ import annotations

import os

import typer

from sagehound.cli.exec_ import RoleOption, RootOption, become
from sagehound.cli.options import DataDirOption, data_dir_of
from sagehound.cli.telling import telling


def shell(role: RoleOption = "", root: RootOption = False, data_dir: DataDirOption = None) -> None:
    """Open your shell with AWS being the local cloud; its prompt says so. `exit` leads back."""
    from sagehound.cli.client_environment import Caller, client_environment
    from sagehound.cli.shell_startup import start_of

    with telling():
        own = dict(os.environ)
        folder = data_dir_of(data_dir)
        found = client_environment("shell", folder, Caller(role, root), own)
        for note in found.notes:
            typer.echo(f"sagehound: note: {note}", err=True)
        address = found.server.endpoint_url.removeprefix("http://")
        who = " as root" if root else f" as {role}" if role else ""
        command, further = start_of(own, folder, found, f"(sagehound {address}{who}) ")
    become(command, found.over(own) | further, "shell")
