"""Pictures that lie in a bucket already: an s3:// prefix, brought into the cache folder.

Only objects that are new or changed since the last run are fetched (size and ETag), several at a time; files
whose object is gone are removed, so the folder is what the prefix is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import Any

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.cache_lock import cache_lock
from sagehound.pipeline.intake.safe_names import UnsafeName, is_noise, safe_relative_path

_WORKERS = 16


def split_s3_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/prefix` -> (bucket, prefix); raises DataRefused where there is no bucket."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise DataRefused(f"{uri} names no bucket", "Write s3://BUCKET/PREFIX.")
    return bucket, prefix


def mirror_prefix(s3: Any, uri: str, cache: Path, progress: Callable[[int, int], None]) -> Path:
    """The local folder (or, for a single `.zip` object, the local file) that holds what ``uri`` names."""
    bucket, prefix = split_s3_uri(uri)
    folder = cache / "buckets" / hashlib.sha256(f"{s3.meta.endpoint_url} {uri}".encode()).hexdigest()[:16]
    with cache_lock(folder):
        objects = _listed(s3, bucket, prefix)
        if not objects:
            raise DataRefused(f"{uri} holds no objects", "Check the bucket and the prefix.")
        index_path, files = folder / "index.json", folder / "files"
        files.mkdir(parents=True, exist_ok=True)
        index: dict[str, str] = json.loads(index_path.read_text()) if index_path.exists() else {}
        kept: dict[str, str] = {}
        todo: list[tuple[str, Path, str]] = []
        for name, (key, tag) in objects.items():
            path = files.joinpath(*PurePosixPath(name).parts)
            if index.get(name) == tag and path.is_file():
                kept[name] = tag
            else:
                todo.append((key, path, name))
        for name in set(index) - set(objects):
            files.joinpath(*PurePosixPath(name).parts).unlink(missing_ok=True)
        # The index loses what is fetched anew before the first byte, so an interrupted file is never believed.
        index_path.write_text(json.dumps(kept))
        _fetch_all(s3, bucket, todo, len(objects), progress)
        index_path.write_text(json.dumps({name: tag for name, (_, tag) in objects.items()}))
    single = next(iter(objects))
    return files / single if len(objects) == 1 and single.lower().endswith(".zip") else files


def _listed(s3: Any, bucket: str, prefix: str) -> dict[str, tuple[str, str]]:
    """Name below the prefix -> (key, size and ETag)."""
    # `s3://bucket/dog` means the folder dog/, not dogs/ as well; an object of exactly that key is taken too.
    base = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    found: dict[str, tuple[str, str]] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            if key.endswith("/") or not (key == prefix or key.startswith(base)):
                continue
            name = PurePosixPath(key).name if key == prefix else key[len(base) :]
            try:
                path = safe_relative_path(name)
            except UnsafeName as error:
                raise DataRefused(
                    f"s3://{bucket}/{key} cannot be a file here: the key {error}", "Rename it."
                ) from error
            if not is_noise(path):
                found[str(path)] = (key, f"{entry['Size']} {entry['ETag']}")
    return found


def _fetch_all(
    s3: Any, bucket: str, todo: list[tuple[str, Path, str]], total: int, progress: Callable[[int, int], None]
) -> None:
    done = total - len(todo)
    progress(done, total)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="s3-get") as pool:
        waiting = [pool.submit(_fetch, s3, bucket, key, path) for key, path, _ in todo]
        try:
            for future in as_completed(waiting):
                future.result()
                done += 1
                progress(done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(s3: Any, bucket: str, key: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    with path.open("wb") as sink:
        for chunk in body.iter_chunks(1 << 20):
            sink.write(chunk)
