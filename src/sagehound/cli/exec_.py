"""The command exec: any program, with AWS being the local cloud."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from typing import Annotated, NoReturn

import typer

from sagehound.cli.options import DataDirOption, data_dir_of
from sagehound.cli.telling import show, telling
from sagehound.errors import StepFailed

RoleOption = Annotated[
    str, typer.Option("--role", help="Role of the cloud that it acts as (default: sagehound-user).", metavar="NAME")
]
RootOption = Annotated[bool, typer.Option("--root", help="Act as the account's root user, with its keys.")]
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells have it


def exec_(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments.", metavar="-- COMMAND...")],
    role: RoleOption = "",
    root: RootOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Run a program with AWS being the local cloud, unmodified: notebooks, SDKs, the aws CLI, wget of a bucket."""
    from sagehound.cli.client_environment import Caller, client_environment

    with telling():
        own = dict(os.environ)
        found = client_environment("exec", data_dir_of(data_dir), Caller(role, root), own)
        for note in found.notes:
            typer.echo(f"sagehound: note: {note}", err=True)
    become(command, found.over(own), "exec")


def become(command: list[str], environment: Mapping[str, str], step: str) -> NoReturn:
    """Be the program from now on: its exit code, its signals and the terminal are its own."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    # Python ignores them, and a program that is started so would, too: `... | head` would never end.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        _execute(command, environment)
    except FileNotFoundError:
        if _found(command[0], environment):
            cause, hint = f"the interpreter that {command[0]} names is not there", "Check its first line."
            failure, code = StepFailed(step, f"{command[0]} cannot be run: {cause}", hint), NOT_EXECUTABLE
        else:
            failure = StepFailed(step, f"{command[0]}: no such program", "Check its name, or give its path.")
            code = NOT_FOUND
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        failure = StepFailed(step, f"{command[0]} cannot be run: {reason}", "Check its permissions and its first line.")
        code = NOT_EXECUTABLE
    show(failure)
    raise typer.Exit(code)


def _execute(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without a first line of its own is the shell's, as when a shell starts it.
        script = _found(command[0], environment) or command[0]
        os.execvpe("/bin/sh", ["/bin/sh", script, *command[1:]], environment)


def _found(program: str, environment: Mapping[str, str]) -> str | None:
    return shutil.which(program, path=environment.get("PATH", os.defpath))
