"""Runs the benchmarks on this machine's GPUs, each in a process of its own, and keeps what they print.

`python -m benchmarks.gpu [--data FOLDER] [features head network scaling]`: the results are in
benchmarks/results/gpu_DEVICE.txt, where DEVICE is what torch calls the GPUs. `--data` names a folder with train/,
valid/ and test/; where it holds fewer than 8,400 pictures they are repeated under other names, and the results say so.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import torch

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
PICTURES = PROJECT.parent / "shared" / "data" / "dogImages"
PARTS = ("features", "head", "network", "scaling")


def device() -> str:
    """What torch calls the GPUs of this machine, with their number."""
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{len(names)} x {names[0]}" if len(names) > 1 else names[0]


def run(part: str, data: Path) -> list[str] | None:
    """One benchmark's lines, shown as they come; None when it did not end well."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "src"), *sys.path])}
    command = [sys.executable, "-m", f"benchmarks.gpu.{part}", "--data", str(data)]
    lines = []
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("| "):
                print(line[2:], end="", flush=True)
                lines.append(line[2:])
    return lines if process.returncode == 0 else None


def main() -> int:
    """Run the parts that were asked for; the exit code says whether each one ended well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PICTURES)
    parser.add_argument("parts", nargs="*", default=[])
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch sees no GPU on this machine", file=sys.stderr)
        return 1
    head = f"{device()}, torch {torch.__version__}, {len(os.sched_getaffinity(0))} CPU cores\n"
    print(head, end="")
    results, failed = [head], []
    for part in given.parts or [part for part in PARTS if part != "scaling" or torch.cuda.device_count() > 1]:
        print(f"== {part}", flush=True)
        lines = run(part, given.data)
        if lines is None:
            failed.append(part)
        results += [f"\n== {part}\n", *(lines or ["did not end well\n"])]
    name = re.sub(r"[^a-z0-9]+", "_", device().lower())
    path = FOLDER.parent / "results" / f"gpu_{name}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(results))
    if failed:
        print(f"did not end well: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
