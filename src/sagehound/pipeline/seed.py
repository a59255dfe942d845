"""Seed: files of this machine lie in the local cloud under the public name that scripts know them by.

A bucket that is made here is open to everybody for reading, as the real one is; somebody else's is left alone.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless, aws_step, error_of
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.progress import Reporter, Step

USUAL_REGIONS = {"udacity-aind": "us-west-1"}
"""Where public buckets lie whose name alone is given."""
SEEDED_TAG = "sagehound:seeded"
"""The tag of a bucket that was made here."""
MARK = "sagehound-seeded"
"""The metadata of an object that was put here; another's is not replaced."""
PART = 16 * 1024 * 1024
"""Bytes of a part of a large file: its ETag is made of its parts', so it is the same each time."""
_HOST = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?:dualstack\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+))?\.amazonaws\.com"
)
_FORM = "BUCKET/KEY=FILE, BUCKET/PREFIX/=FOLDER, or the usual https://... address in place of BUCKET/KEY"


@dataclass(frozen=True)
class Seed:
    """One thing to put: a file at a key, or a folder's files below a prefix."""

    bucket: str
    key: str
    path: Path
    region: str = ""
    """The region that its address names; empty: none."""

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each key with its file."""
        if self.path.is_file():
            yield (f"{self.key}{self.path.name}" if self.key.endswith("/") or not self.key else self.key), self.path
            return
        for path in sorted(_below(self.path)):
            yield self.key + _utf8(path.relative_to(self.path)), path


def _below(folder: Path) -> Iterator[Path]:
    """The files below a folder, links followed as `aws s3 sync` does, but into no folder that they lie in."""
    around = {str(folder): frozenset([folder.resolve()])}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        found = {name: Path(place, name).resolve() for name in folders}
        folders[:] = [name for name in folders if found[name] not in around[place]]
        around |= {os.path.join(place, name): around[place] | {found[name]} for name in folders}
        for name in files:
            path = Path(place, name)
            if path.is_file():
                yield path


def _unreadable(error: OSError) -> None:
    raise StepFailed(
        "seed", f"the folder {error.filename} cannot be read: {error.strerror}", "Check its permissions."
    ) from error


def _utf8(path: Path) -> str:
    """A path as a part of a key; raises StepFailed where its name is no text."""
    try:
        return path.as_posix().encode().decode()
    except UnicodeEncodeError as error:
        name = os.fsencode(path).decode(errors="backslashreplace")
        raise StepFailed("seed", f"the name {name} is not UTF-8, as keys of S3 are", "Rename that file.") from error


def parse(text: str) -> Seed:
    """WHERE=PATH; raises StepFailed where that is not so, or there is nothing at the path.

    Keys may hold `=`, and so may paths: the first one counts behind which there is something.
    """
    places = [match.start() for match in re.finditer("=", text)]
    if not places:
        raise StepFailed("seed", f"{text} names no file", f"Write {_FORM}.")
    place = next((one for one in places if text[one + 1 :] and _path(text[one + 1 :]).exists()), places[0])
    where, path = text[:place], _path(text[place + 1 :])
    if not text[place + 1 :] or not path.exists():
        raise StepFailed("seed", f"there is no file or folder {text[place + 1 :]}", f"Write {_FORM}.")
    bucket, key, region = _address(where)
    if path.is_dir() and key and not key.endswith("/"):
        raise StepFailed("seed", f"{path} is a folder, and {where} names one object", f"Write {where}/={path}.")
    return Seed(bucket, key, path, region)


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # that of pathlib raises where nobody has the name behind ~


def _address(where: str) -> tuple[str, str, str]:
    """Bucket, key and region of BUCKET/KEY, s3://BUCKET/KEY or an https address."""
    if where.startswith(("https://", "http://")):
        parts = urlsplit(where)
        found = _HOST.fullmatch(parts.hostname or "")
        if found is None:
            raise StepFailed("seed", f"{where} is no address of S3", f"Write {_FORM}.")
        bucket, key = (found["bucket"], parts.path[1:]) if found["bucket"] else parts.path[1:].partition("/")[::2]
        key = unquote(key)
        # Without a region in its name a host is the first region's.
        region = found["region"] or USUAL_REGIONS.get(bucket, "us-east-1")
    else:
        bucket, _, key = where.removeprefix("s3://").partition("/")
        region = USUAL_REGIONS.get(bucket, "")
    if not bucket:
        raise StepFailed("seed", f"{where} names no bucket", f"Write {_FORM}.")
    return bucket, key, region


def seed(
    connect: Callable[[str], Clients],
    seeds: Sequence[Seed],
    reporter: Reporter,
    step: Step,
    *,
    region: str = "",
    usual: str = "us-east-1",
    workers: int = 16,
) -> None:
    """Put everything where it was asked for; what lies there already is not sent again.

    ``connect(region)`` gives clients; ``region`` is where new buckets are made, else where their address says, else
    in ``usual``. Raises StepFailed where a bucket or an object is somebody else's.
    """
    sent = there = size = 0
    with aws_step("seed"):
        for bucket, group in _by_bucket(seeds).items():
            place = region or next((one.region for one in group if one.region), "") or usual
            clients = connect(place)
            wanted = _wanted(bucket, group)
            _open_bucket(clients, bucket, place)
            missing, differing = _compare(clients, bucket, wanted, reporter)
            _refuse_others(clients, bucket, differing, workers)
            todo = missing + differing
            size += _send(clients, bucket, {key: wanted[key] for key in todo}, reporter, workers)
            sent, there = sent + len(todo), there + len(wanted) - len(todo)
            step.lines += [f"s3://{bucket}/{key}" for key in sorted(wanted)[:5]]
            if len(wanted) > 5:
                step.lines.append(f"and {len(wanted) - 5:,} more in s3://{bucket} ({place})")
    what = f"{sent:,} sent ({size / 1e6:,.1f} MB)" if sent else "nothing to send"
    step.done(f"{what}, {there:,} unchanged", sent=sent, unchanged=there, bytes=size)


def _by_bucket(seeds: Iterable[Seed]) -> dict[str, list[Seed]]:
    groups: dict[str, list[Seed]] = {}
    for one in seeds:
        groups.setdefault(one.bucket, []).append(one)
    return groups


def _wanted(bucket: str, seeds: Sequence[Seed]) -> dict[str, Path]:
    """Each key of a bucket with its file."""
    wanted: dict[str, Path] = {}
    for one in seeds:
        before = len(wanted)
        for key, path in one.files():
            if wanted.setdefault(key, path) != path:
                cause = f"{wanted[key]} and {path} are both to lie at s3://{bucket}/{key}"
                raise StepFailed("seed", cause, "Give them different keys.")
        if len(wanted) == before and not one.path.is_file():
            raise StepFailed("seed", f"there are no files in {one.path}", "Name a folder that has some.")
    return wanted


def _open_bucket(clients: Clients, bucket: str, region: str) -> None:
    """Make the bucket where it is missing, and let everybody read what is in it; safe to repeat."""
    s3 = clients.s3
    if answer_unless(lambda: s3.head_bucket(Bucket=bucket), "404", "NoSuchBucket") is None:
        # In one call: a bucket without the tag would be taken for somebody else's.
        how: dict[str, Any] = {"Tags": [{"Key": SEEDED_TAG, "Value": "true"}]}
        if region != "us-east-1":
            how["LocationConstraint"] = region
        answer_unless(lambda: s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=how), "BucketAlreadyOwnedByYou")
    found = answer_unless(lambda: s3.get_bucket_tagging(Bucket=bucket), "NoSuchTagSet") or {"TagSet": []}
    if {"Key": SEEDED_TAG, "Value": "true"} not in found["TagSet"]:
        raise StepFailed(
            "seed",
            f"bucket {bucket} is there already and was not made by seed, which would open it to everybody",
            f"Copy into it (`sagehound exec -- aws s3 cp FILE s3://{bucket}/...`), or delete it first.",
        )
    s3.delete_public_access_block(Bucket=bucket)
    statement = {
        "Sid": "EverybodyReads",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:{clients.partition}:s3:::{bucket}/*",
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _compare(
    clients: Clients, bucket: str, wanted: Mapping[str, Path], reporter: Reporter
) -> tuple[list[str], list[str]]:
    """The keys at which there is nothing, and those at which there is something else than the file."""
    prefix = next(iter(wanted)) if len(wanted) == 1 else ""
    there = list_objects(clients, bucket, prefix)
    missing, differing = [], []
    for number, (key, path) in enumerate(sorted(wanted.items()), 1):
        found = there.get(key)
        if found is None:
            missing.append(key)
        elif found[0] != path.stat().st_size or found[1] != etag(path):
            differing.append(key)
        reporter.progress("compare", number, len(wanted), "files")
    return missing, differing


def etag(path: Path) -> str:
    """The ETag that S3 gives a file that is sent in parts of PART bytes, or in one where it is no larger."""
    digests = []
    with path.open("rb") as file:
        while part := file.read(PART):
            digests.append(hashlib.md5(part, usedforsecurity=False).digest())
    if len(digests) < 2:
        return digests[0].hex() if digests else hashlib.md5(b"", usedforsecurity=False).hexdigest()
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def _refuse_others(clients: Clients, bucket: str, keys: Sequence[str], workers: int) -> None:
    """Raise StepFailed where an object that would be replaced was not put here."""

    def head(key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = answer_unless(
            lambda: clients.s3.head_object(Bucket=bucket, Key=key), "404", "NoSuchKey"
        )
        return found

    with ThreadPoolExecutor(workers, thread_name_prefix="s3-seed") as pool:
        for key, found in zip(keys, pool.map(head, keys), strict=True):
            if found is not None and MARK not in found["Metadata"]:
                pool.shutdown(wait=False, cancel_futures=True)
                raise StepFailed(
                    "seed",
                    f"s3://{bucket}/{key} is there already, is not your file, and was not put there by seed",
                    f"Remove it first: `sagehound exec -- aws s3 rm s3://{bucket}/{key}`.",
                )


def _send(clients: Clients, bucket: str, files: Mapping[str, Path], reporter: Reporter, workers: int) -> int:
    """Send the files, large ones in parts; the bytes that were sent."""
    from boto3.exceptions import S3UploadFailedError
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import ClientError

    total = sum(path.stat().st_size for path in files.values())
    config = TransferConfig(multipart_threshold=PART + 1, multipart_chunksize=PART, max_concurrency=4)
    done, lock = 0, Lock()

    def count(amount: int) -> None:
        nonlocal done
        with lock:
            done += amount
            reporter.progress("seed", min(done, total), total, "B")

    def put(key: str, path: Path) -> None:
        kind = mimetypes.guess_type(path.name)[0] or "binary/octet-stream"
        extra = {"ContentType": kind, "Metadata": {MARK: "true"}}
        if path.stat().st_size > PART:
            clients.s3.upload_file(str(path), bucket, key, ExtraArgs=extra, Config=config, Callback=count)
        else:
            body = path.read_bytes()
            clients.s3.put_object(Bucket=bucket, Key=key, Body=body, **extra)
            count(len(body))

    pool = ThreadPoolExecutor(workers, thread_name_prefix="s3-seed")
    try:
        for future in as_completed([pool.submit(put, key, path) for key, path in files.items()]):
            future.result()
    except S3UploadFailedError as error:
        cause = error.__context__
        if isinstance(cause, ClientError):
            code, message = error_of(cause)
            raise StepFailed(
                "seed", f"{code}: {message}", "Change what the message names, and run it again."
            ) from error
        raise StepFailed("seed", str(error), "Run the same command again: it sends the rest.") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return total
