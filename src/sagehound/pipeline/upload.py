"""Upload: the checked pictures lie in the bucket, and only what changed is sent.

One listing tells what is there (size and ETag); what differs is sent by several threads. When all of it lies
there, a record with the data set's digest is written, which is what later steps read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.bucket import ensure_bucket, list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.intake.manifest import DataManifest, ManifestEntry
from sagehound.pipeline.intake.named import listed
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.waiting import interrupted

_CONTENT_TYPES = {".png": "image/png", ".webp": "image/webp"}
_DELETED_AT_ONCE = 1000  # DeleteObjects takes no more


@dataclass(frozen=True)
class StoredData:
    """A data set as it lies in the bucket."""

    name: str
    uri: str
    digest: str
    classes: tuple[str, ...]
    counts: dict[str, int]


def upload(
    clients: Clients,
    names: Names,
    manifest: DataManifest,
    reporter: Reporter,
    step: Step,
    *,
    workers: int = 16,
    mirror: bool = False,
) -> StoredData:
    """Bring the bucket to what the manifest says; raises StepFailed where it holds other pictures as well.

    ``mirror`` removes those others. Interrupted, it goes on where it was: what arrived is not sent again.
    """
    prefix = names.data_prefix(manifest.name)
    with aws_step("upload"):
        ensure_bucket(clients, names)
        there = list_objects(clients, names.bucket, prefix)
        known = _recorded_etags(clients, names, manifest.name)
        wanted = {prefix + entry.key: entry for entry in manifest.pictures}
        todo = [(key, entry) for key, entry in wanted.items() if not _same(there.get(key), entry, known.get(entry.key))]
        extra = sorted(set(there) - set(wanted))
        if extra and not mirror:
            raise _others_in_the_way(names.bucket, prefix, extra)
        etags = {entry.key: there[key][1] for key, entry in wanted.items() if key in there}
        if todo or extra or known.keys() != etags.keys():
            # While the bucket holds a mixture there is no record, so nothing trains on it by mistake.
            clients.s3.delete_object(Bucket=names.bucket, Key=names.data_record(manifest.name))
        _remove(clients, names.bucket, extra)
        etags |= _send_all(clients, names.bucket, todo, reporter, workers)
        before = _read_record(clients, names, names.data_record(manifest.name)) or {}
        # As with tags: what a later run finds keeps the name of the run that brought it.
        run = before.get("run") or names.run
        record = json.loads(manifest.as_json()) | {"etags": etags, "prefix": prefix, "run": run}
        body = json.dumps(record, ensure_ascii=False, sort_keys=True).encode()
        clients.s3.put_object(
            Bucket=names.bucket, Key=names.data_record(manifest.name), Body=body, ContentType="application/json"
        )
    stored = _stored(names, record)
    sent = f"{len(todo):,} sent" if todo else "nothing to send"
    removed = f", {len(extra):,} removed" if extra else ""
    step.done(
        f"{stored.uri}  {sent}, {len(wanted) - len(todo):,} unchanged{removed}",
        uri=stored.uri,
        sent=len(todo),
        unchanged=len(wanted) - len(todo),
        removed=len(extra),
        bytes=sum(entry.size for _, entry in todo),
        digest=stored.digest,
    )
    return stored


def stored_data(clients: Clients, names: Names, data_name: str = "", *, step: str = "train") -> StoredData:
    """The data set that an earlier upload recorded: the named one, or the latest.

    Raises StepFailed of ``step`` without one.
    """
    missing = StepFailed(
        step,
        f"no {'data set ' + data_name if data_name else 'uploaded data set'} in bucket {names.bucket}",
        "Upload one: `sagehound upload --data ...`.",
    )
    with aws_step(step):
        if data_name:
            key = names.data_record(data_name)
        else:
            records = _records(clients, names)
            if not records:
                raise missing
            key = records[-1]
        record = _read_record(clients, names, key)
    if record is None:
        raise missing
    return _stored(names, record)


def recorded_data(clients: Clients, names: Names, data_name: str) -> StoredData | None:
    """The named data set as its upload recorded it; None where there is no record (any more)."""
    record = _read_record(clients, names, names.data_record(data_name))
    return None if record is None else _stored(names, record)


def _records(clients: Clients, names: Names) -> list[str]:
    """Keys of the records, the latest last."""
    folder = names.data_record("").removesuffix(".json")
    if not list_objects(clients, names.bucket, folder):
        return []
    entries = clients.s3.list_objects_v2(Bucket=names.bucket, Prefix=folder).get("Contents", [])
    return [entry["Key"] for entry in sorted(entries, key=lambda entry: entry["LastModified"])]


def _read_record(clients: Clients, names: Names, key: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = json.loads(clients.s3.get_object(Bucket=names.bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            return None
        raise
    return found


def _recorded_etags(clients: Clients, names: Names, data_name: str) -> dict[str, str]:
    """Key -> "SHA-256 ETag" as recorded; an ETag is no MD5 where the bucket is encrypted with a key of KMS."""
    record = _read_record(clients, names, names.data_record(data_name))
    if record is None:
        return {}
    return {key: f"{sha256} {record['etags'].get(key, '')}" for key, sha256 in record["pictures"].items()}


def _same(there: tuple[int, str] | None, entry: ManifestEntry, recorded: str | None) -> bool:
    if there is None or there[0] != entry.size:
        return False
    return there[1] == entry.md5 or recorded == f"{entry.sha256} {there[1]}"


def _send_all(
    clients: Clients, bucket: str, todo: Sequence[tuple[str, ManifestEntry]], reporter: Reporter, workers: int
) -> dict[str, str]:
    """Send every picture; key below the prefix -> ETag. The first failure stops the rest."""
    etags: dict[str, str] = {}
    s3 = clients.s3
    reporter.progress("upload", 0, len(todo), "pictures")
    pool = ThreadPoolExecutor(workers, thread_name_prefix="s3-put")
    try:
        waiting = {pool.submit(_send, s3, bucket, key, entry): entry for key, entry in todo}
        for future in as_completed(waiting):
            etags[waiting[future].key] = future.result()
            reporter.progress("upload", len(etags), len(todo), "pictures")
    except KeyboardInterrupt:
        raise interrupted(
            "upload",
            f"{len(etags):,} of {len(todo):,} pictures were sent",
            "Run the same command again: it sends the rest.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return etags


def _send(s3: Any, bucket: str, key: str, entry: ManifestEntry) -> str:
    try:
        content = entry.path.read_bytes()
    except OSError as error:
        raise StepFailed("upload", f"{entry.path} cannot be read: {error}", "Run the same command again.") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != entry.md5:
        raise StepFailed(
            "upload", f"{entry.path} changed after it was checked", "Run the same command again: it is checked anew."
        )
    kind = _CONTENT_TYPES.get(entry.path.suffix.lower(), "image/jpeg")
    return str(s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind)["ETag"]).strip('"')


def _remove(clients: Clients, bucket: str, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), _DELETED_AT_ONCE):
        objects = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
        answer = clients.s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise StepFailed("upload", f"{first['Key']} cannot be removed: {first['Message']}", "Remove it by hand.")


def _others_in_the_way(bucket: str, prefix: str, extra: Sequence[str]) -> StepFailed:
    shown = listed([key.removeprefix(prefix) for key in extra])
    return StepFailed(
        "upload",
        f"s3://{bucket}/{prefix} holds {len(extra):,} objects that are not in your data, and the training would read "
        f"them: {shown}",
        "Remove them with --mirror, or give this data set another name (--set data.name=...).",
    )


def _stored(names: Names, record: dict[str, Any]) -> StoredData:
    return StoredData(
        name=record["name"],
        uri=f"s3://{names.bucket}/{record['prefix']}",
        digest=record["digest"],
        classes=tuple(record["classes"]),
        counts=record["counts"],
    )
