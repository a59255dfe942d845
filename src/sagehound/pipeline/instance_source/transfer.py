"""Moves files between S3 and the instance it runs on: get, put, outcome. Sent along as user data."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

THREADS = 16


def client() -> Any:
    """S3, by the boto3 of the environment that is active; one that has none gets it."""
    try:
        import boto3
    except ImportError:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "boto3"], check=True)
        import boto3
    return boto3.client("s3")


def place(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://BUCKET/KEY."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def get(s3: Any, uri: str, target: str) -> None:
    """An object as a file; with a slash at the end everything below a prefix, as files below a folder."""
    bucket, key = place(uri)
    keys = [key]
    if key.endswith("/"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        found = (entry["Key"] for page in pages for entry in page.get("Contents", []))
        keys = [one for one in found if not one.endswith("/")]
        if not keys:
            sys.exit(f"sagehound: there is nothing at {uri}")
    files = [Path(target, one[len(key) :]) for one in keys]
    for folder in {file.parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda one, file: s3.download_file(bucket, one, str(file)), keys, files):
            pass
    print(f"sagehound: has fetched {len(keys)} from {uri}")


def put(s3: Any, uri: str, *sources: str) -> None:
    """Files, and what folders hold, below a prefix; the code of a model folder is in its archive already."""
    bucket, prefix = place(uri)
    files = []
    for source in map(Path, sources):
        files += [path for path in sorted(source.rglob("*")) if path.is_file()] if source.is_dir() else [source]
    sent = [file for file in files if "code" not in file.parts[1:-1]]
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda file: s3.upload_file(str(file), bucket, prefix + file.as_posix()), sent):
            pass


def outcome(s3: Any, uri: str, status: str, phases: str) -> None:
    """How it ended and how long each phase took, from the times at which they began."""
    begun = [line.split() for line in Path(phases).read_text().splitlines()]
    times = [(name, float(moment)) for name, moment in begun]
    seconds = {times[at][0]: round(times[at + 1][1] - times[at][1], 3) for at in range(len(times) - 1)}
    body = json.dumps({"status": int(status), "seconds": seconds, "began": times[0][1], "ended": times[-1][1]})
    bucket, key = place(uri)
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/json")


def main() -> None:
    """One verb with its arguments; `get` takes several pairs."""
    verb, *given = sys.argv[1:]
    s3 = client()
    if verb == "get":
        for at in range(0, len(given), 2):
            get(s3, given[at], given[at + 1])
    elif verb == "put":
        put(s3, *given)
    elif verb == "outcome":
        outcome(s3, *given)
    else:
        sys.exit(f"transfer.py knows no {verb}")


if __name__ == "__main__":
    main()
