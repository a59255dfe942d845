"""How a script ends when its input is at fault: one sentence, last in the log, and the FailureReason of the job."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sagehound.classifier.group_loss import GroupBroken
from sagehound.classifier.refusals import JobRefused

EXPECTED = (GroupBroken, JobRefused)
FAILURE_LIMIT = 1024
"""Characters of the failure file that a training job shows."""


@contextmanager
def failures_told(environ: Mapping[str, str]) -> Iterator[None]:
    """End the process with status 1 and the sentence of an expected failure; others keep their traceback."""
    try:
        yield
    except EXPECTED as error:
        output = environ.get("SM_OUTPUT_DIR")
        if output and Path(output).is_dir():
            (Path(output) / "failure").write_text(str(error)[:FAILURE_LIMIT], encoding="utf-8", errors="replace")
        # A file's name may hold bytes that are no UTF-8.
        print(f"error: {error}".encode(errors="replace").decode(), file=sys.stderr, flush=True)
        sys.exit(1)
