"""Runs every benchmark in a process of its own, one after another, and keeps what each prints in results/NAME.txt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ORDER = (
    "s3",
    "s3_cli_upload",
    "job_start",
    "endpoint_start",
    "endpoint_overhead",
    "endpoint_throughput",
    "main_job",
    "head_accuracy",
    "tuning_walk",
    "tuning_quality",
    "iam_decision",
    "function_invoke",
    "function_load",
    "load_generator",
    "load_capacity",
    "endpoint_changes",
    "clients",
)


def run(name: str) -> bool:
    """Run one benchmark, showing and keeping its lines; whether it ended well."""
    lines = []
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    with subprocess.Popen(command, cwd=FOLDER.parent, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode == 0:
        (FOLDER / "results").mkdir(exist_ok=True)
        (FOLDER / "results" / f"{name}.txt").write_text("".join(lines))
    return process.returncode == 0


def main() -> int:
    """Run the benchmarks named on the command line, or all of them; the exit code says whether each one ended well."""
    failed = []
    for name in sys.argv[1:] or ORDER:
        print(f"== {name}", flush=True)
        if not run(name):
            failed.append(name)
    if failed:
        print(f"did not end well: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
