"""Seconds of the main job, step by step, and the accuracy it ends with: `sagehound run` on a folder of real pictures.

Run from the project's folder: `python -m benchmarks main_job`. Without a folder of real pictures it says so and
measures the packaged sample. Caches are empty and the local cloud is new, as on a first run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES = Path(__file__).parents[2] / "shared" / "data" / "dogImages"


def main() -> None:
    """Run the walk once and show its steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PICTURES)
    folder = parser.parse_args().data
    command = [sys.executable, "-m", "sagehound.cli.main", "run", "--port", "0"]
    if folder.is_dir():
        command += ["--data", str(folder)]
    else:
        print(f"no pictures at {folder}: measuring the packaged sample")
    with tempfile.TemporaryDirectory(prefix="sagehound-benchmark-") as place:
        command += ["--report", f"{place}/report.html"]
        environment = {**os.environ, "SAGEHOUND_CACHE_DIR": f"{place}/cache", "SAGEHOUND_DATA_DIR": f"{place}/cloud"}
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
