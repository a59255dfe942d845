"""Moves files between S3 and the instance it runs on: get, fetch, put, send, outcome. Sent along as user data."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

THREADS = 16


def place(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://BUCKET/KEY."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def fetch(s3: Any, uri: str, folder: str) -> None:
    """Everything below a prefix, as files below a folder."""
    bucket, prefix = place(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", []) if not entry["Key"].endswith("/")]
    if not keys:
        sys.exit(f"there is nothing at {uri}")
    targets = [Path(folder, key[len(prefix) :]) for key in keys]
    for parent in {target.parent for target in targets}:
        parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda key, target: s3.download_file(bucket, key, str(target)), keys, targets):
            pass
    print(f"sagehound: has fetched {len(keys)} files")


def send(s3: Any, folder: str, uri: str) -> None:
    """Every file below a folder, as objects below a prefix."""
    bucket, prefix = place(uri)
    files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        s3.upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())


def outcome(s3: Any, status: str, phases: str, uri: str) -> None:
    """How it ended and how long each phase took, from the times at which they began."""
    begun = [line.split() for line in Path(phases).read_text().splitlines()]
    times = [(name, float(moment)) for name, moment in begun]
    seconds = {
        name: round(later - moment, 3)
        for (name, moment), (_, later) in zip(times, times[1:])  # noqa: B905, RUF007
    }
    body = json.dumps({"status": int(status), "seconds": seconds, "began": times[0][1], "ended": times[-1][1]})
    bucket, key = place(uri)
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/json")


def main() -> None:
    """One verb with its arguments."""
    import boto3  # the instance's own

    verb, *given = sys.argv[1:]
    s3 = boto3.client("s3")
    if verb == "get":
        s3.download_file(*place(given[0]), given[1])
    elif verb == "put":
        s3.upload_file(given[0], *place(given[1]))
    else:
        verbs: dict[str, Callable[..., None]] = {"fetch": fetch, "send": send, "outcome": outcome}
        verbs[verb](s3, *given)


if __name__ == "__main__":
    main()
