"""`aws s3 cp --recursive` of a folder of pictures: files a second into ours and its peers.

    python benchmarks/s3_cli_upload.py [--folder PICTURES] [--rounds 3] [--only sagehound]

Without --folder 1,000 files of 60 KB are made. The aws CLI itself takes most of the time: what differs is the server.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from s3 import BUCKET, client_of
from s3_servers import SERVERS, Server, available

RESULTS = Path(__file__).parent / "results" / "s3_cli_upload.json"
AWS = shutil.which("aws", path=str(Path(sys.executable).parent)) or "aws"


def upload(server: Server, folder: Path) -> float:
    """Seconds that the CLI takes to copy the folder; every file is there afterwards."""
    client = client_of(server)
    client.create_bucket(Bucket=BUCKET)
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    target = f"s3://{BUCKET}/pictures"
    command = [AWS, "--endpoint-url", server.endpoint_url, "s3", "cp", "--recursive", "--quiet", str(folder), target]
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True)
    seconds = time.perf_counter() - began
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    stored = sum(len(page.get("Contents", [])) for page in pages)
    if stored != len(_files(folder)):
        raise RuntimeError(f"{server.name} holds {stored} of {len(_files(folder))} files")
    return seconds


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _make(folder: Path) -> None:
    for number in range(1000):
        file = folder / f"{number % 10:03d}.Class" / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(os.urandom(60_000))


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=list(SERVERS))
    chosen = parser.parse_args()
    names = chosen.only or available()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="sagehound-bench-") as made:
        folder = chosen.folder or Path(made)
        if chosen.folder is None:
            _make(folder)
        files = len(_files(folder))
        megabytes = sum(path.stat().st_size for path in _files(folder)) / 1e6
        for _ in range(chosen.rounds):
            for name in names:
                with SERVERS[name]() as server:
                    seconds[name].append(upload(server, folder))
                print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)
    print(f"| server | seconds for {files} files, {megabytes:.0f} MB | files/s |\n|---|---|---|")
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, median in medians.items():
        print(f"| {name} | {median:.1f} | {files / median:.0f} |")
    RESULTS.parent.mkdir(exist_ok=True)
    facts = {"rounds": chosen.rounds, "files": files, "megabytes": round(megabytes), "cores": os.cpu_count()}
    RESULTS.write_text(json.dumps({"facts": facts, "median_seconds": medians}, indent=2) + "\n")


if __name__ == "__main__":
    main()
