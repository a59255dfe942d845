"""How commands tell what they do, and how they say what went wrong: what failed, why, and the way out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sagehound.errors import Interrupted, StepFailed

if TYPE_CHECKING:
    from sagehound.pipeline.progress import Reporter

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextmanager
def telling(as_json: bool = False, verbose: bool = False) -> Iterator[Reporter]:
    """A reporter for the command; an expected error ends it with exit code 1, Ctrl-C with 130, without a traceback."""
    from sagehound.pipeline.progress import JsonReporter, LineReporter

    machine = JsonReporter(sys.stdout)
    reporter: Reporter = machine if as_json else LineReporter(sys.stdout, sys.stderr, verbose)
    try:
        yield reporter
        return
    except StepFailed as error:
        failure = error
    except BrokenPipeError:
        raise  # whoever read our output has gone; the command line ends quietly
    except OSError as error:
        # A file or folder of the person's own: not readable, not writable, or the disk is full.
        failure = StepFailed("sagehound", str(error), "Check that path, its permissions and the space on its disk.")
    except KeyboardInterrupt:
        failure = Interrupted(
            "sagehound",
            "interrupted; what was asked of AWS already goes on there",
            "Run the same command again: it finds what exists. `sagehound status` shows what runs.",
        )
    if as_json:
        machine.failure(failure)
    else:
        show(failure)
    raise typer.Exit(INTERRUPTED if isinstance(failure, Interrupted) else 1)


def show(error: StepFailed) -> None:
    """Three lines on standard error; a job's last words stand below the second."""
    typer.echo(f"sagehound: {error.step} failed", err=True)
    cause = error.cause.encode("utf-8", "backslashreplace").decode().replace("\n", "\n           ")
    typer.echo(f"  why:     {cause}", err=True)
    typer.echo(f"  way out: {error.hint}", err=True)
