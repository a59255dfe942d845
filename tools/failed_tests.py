"""Runs again, alone, the few tests that failed in the last run of all: what fails again has failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".pytest_cache" / "v"
MOST = 5
"""More failures than this are no accident of a busy machine."""


def main() -> int:
    """The exit code: 0 only if the last run came to its end with at most MOST failures, and all pass alone."""
    ended = json.loads((CACHE / "sagehound" / "exitstatus").read_text())
    failed = sorted(json.loads((CACHE / "cache" / "lastfailed").read_text()))
    if ended != 1 or not 0 < len(failed) <= MOST:
        print(f"not run again: the run ended with {ended} and {len(failed)} failures")
        return 1
    print("\n".join([f"{len(failed)} failed beside others and are run again, alone:", *failed]), flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", "-v", *failed], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
