"""Moves files between S3 and the instance it runs on: get, put, outcome. Sent along as user data."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

THREADS = 16
IN_ONE_REQUEST = 8 * 1024 * 1024
"""Bytes up to which an object is asked for as a whole; boto3's transfer asks for a larger one in parts."""


def client() -> Any:
    """S3, by the boto3 of the environment that is active; one that has none gets it."""
    try:
        import boto3
    except ImportError:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "boto3"], check=True)
        import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(max_pool_connections=THREADS))


def place(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://BUCKET/KEY."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def get(s3: Any, uri: str, target: str) -> None:
    """An object as a file; with a slash at the end everything below a prefix, as files below a folder."""
    bucket, key = place(uri)
    if not key.endswith("/"):
        s3.download_file(bucket, key, target)
        print(f"sagehound: has fetched {uri}")
        return
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}
    files = {one: Path(target, one[len(key) :]) for one in found if not one.endswith("/")}
    if not files:
        sys.exit(f"sagehound: there is nothing at {uri}")
    for folder in {file.parent for file in files.values()}:
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(one: str) -> None:
        if found[one] > IN_ONE_REQUEST:
            s3.download_file(bucket, one, str(files[one]))
        else:
            files[one].write_bytes(s3.get_object(Bucket=bucket, Key=one)["Body"].read())

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(fetch, files):
            pass
    print(f"sagehound: has fetched {len(files)} from {uri}")


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


def outcome(s3: Any, uri: str, status: str, phases: str, instance_type: str) -> None:
    """How it ended, on what, and how long each phase took, from the times at which they began."""
    begun = [line.split() for line in Path(phases).read_text().splitlines()]
    times = [(name, float(moment)) for name, moment in begun]
    seconds = {times[at][0]: round(times[at + 1][1] - times[at][1], 3) for at in range(len(times) - 1)}
    span = {"began": times[0][1], "ended": times[-1][1]}
    body = json.dumps({"status": int(status), "instance_type": instance_type, "seconds": seconds, **span})
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
