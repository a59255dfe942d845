"""S3: the service, wired from its resources, and what the other services may ask of it in Python."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sagehound.localcloud.authorization.s3 import bucket_arn, object_arn
from sagehound.localcloud.call import Call, CredentialSource, Operation, Request, Response, operations_of
from sagehound.localcloud.services.s3 import attributes, checksums
from sagehound.localcloud.services.s3.acl import AccessControlLists
from sagehound.localcloud.services.s3.buckets import Buckets
from sagehound.localcloud.services.s3.completing import Completing
from sagehound.localcloud.services.s3.configuration import CONFIGURATIONS
from sagehound.localcloud.services.s3.content import Contents, Received
from sagehound.localcloud.services.s3.copying import Copying
from sagehound.localcloud.services.s3.cors import Cors
from sagehound.localcloud.services.s3.deleting import Deleting
from sagehound.localcloud.services.s3.errors import no_such_bucket
from sagehound.localcloud.services.s3.lifecycle import LifecycleRounds
from sagehound.localcloud.services.s3.listing import after_prefix
from sagehound.localcloud.services.s3.lists import Lists
from sagehound.localcloud.services.s3.multipart import Multipart
from sagehound.localcloud.services.s3.names import check_key
from sagehound.localcloud.services.s3.needs import Authority
from sagehound.localcloud.services.s3.objects import Objects, Writer
from sagehound.localcloud.services.s3.policy import Policies, is_public
from sagehound.localcloud.services.s3.posting import Posting
from sagehound.localcloud.services.s3.reading import Reading
from sagehound.localcloud.services.s3.records import BucketTable, ObjectTable, ObjectVersion
from sagehound.localcloud.services.s3.tagging import ObjectTags
from sagehound.localcloud.services.s3.uploads import UploadTable
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.objects import ContentFiles
from sagehound.localcloud.state.store import Store

_COLLECT_SECONDS = 1.0
_LIFECYCLE_SECONDS = 3600.0
_PAGE = 1000
_RUNS = "s3_run"
_ARN = "arn:aws:s3:::"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as another service lists it."""

    key: str
    size: int
    etag: str


class S3:
    """The S3 service of one account over one data directory.

    Beside the operations, a Python API for the other services, blocking and safe to call from any thread: AwsError
    NoSuchBucket for a missing bucket, KeyError for a missing key.
    """

    name = "s3"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account_id: str,
        data_dir: Path,
        credentials: CredentialSource,
        authority: Authority,
    ) -> None:
        """`credentials` find the keys that signed browsers' forms; `authority` decides what only a body names."""
        self._store = store
        self.buckets = BucketTable(store, account_id)
        self.objects = ObjectTable(store)
        self.uploads = UploadTable(store)
        previous = store.get(_RUNS, "", "run") or {"Number": 0, "IsClean": True}
        self._run = {"Number": previous["Number"] + 1, "IsClean": False}
        store.put(_RUNS, "", "run", self._run)
        self._needs_sweep = not previous["IsClean"]
        self._contents = Contents(ContentFiles(data_dir / "objects", self._run["Number"]))
        self._writer = Writer(self.buckets, self.objects, self._contents, clock)
        self._housekeeping: list[asyncio.Task[None]] = []
        self.tidied = asyncio.Event()
        """Set when what an earlier death of the server left behind is gone."""
        multipart = Multipart(self._writer, self.uploads, account_id)
        deleting = Deleting(self.buckets, self.objects, self._contents, clock, authority)
        self._clock = clock
        self._rounds = LifecycleRounds(self.buckets, self.objects, deleting, multipart, clock)
        self._cors = Cors(self.buckets)
        operations = operations_of(
            Buckets(self.buckets, self.objects, clock, account_id, multipart.abort_all),
            Objects(self._writer),
            Reading(self.buckets, self.objects, self._contents),
            Lists(self.buckets, self.objects, account_id),
            Copying(self._writer),
            deleting,
            ObjectTags(self.buckets, self.objects),
            multipart,
            Completing(self._writer, self.uploads),
            AccessControlLists(self.buckets, self.objects, account_id),
            Policies(self.buckets),
            self._cors,
            *(kind(self.buckets) for kind in CONFIGURATIONS),
            Posting(self._writer, credentials, authority),
        )
        self._operations = {name: self._telling(operation) for name, operation in operations.items()}

    @property
    def operations(self) -> dict[str, Operation]:
        """What the gateway may call, by AWS's names."""
        return self._operations

    async def start(self) -> None:
        """Begin to tidy up: first what a death of the server left behind, then what is deleted meanwhile."""
        self._contents.files.reserve()
        self._housekeeping = [
            asyncio.create_task(self._tidy(), name="s3-tidy"),
            asyncio.create_task(self._expire(), name="s3-lifecycle"),
        ]

    async def stop(self) -> None:
        """Finish tidying, and note that nothing was left behind."""
        for task in self._housekeeping:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._contents.close()
        self._store.put(_RUNS, "", "run", {**self._run, "IsClean": not self._needs_sweep})

    def resource_policy(self, arn: str) -> str | None:
        """The policy of a bucket, which governs its objects too."""
        bucket = self.buckets.find(_bucket_of(arn))
        return None if bucket is None else bucket.get("Policy")

    def restricts_public(self, arn: str) -> bool:
        """Whether Block Public Access keeps those out whom a public policy of the bucket would let in.

        NoSuchBucket where there is none, which S3 tells anybody.
        """
        name = _bucket_of(arn)
        bucket = self.buckets.find(name)
        if bucket is None and name != "*":
            raise no_such_bucket(name)
        if bucket is None or "Policy" not in bucket:
            return False
        restricts = bucket.get("PublicAccessBlockConfiguration", {}).get("RestrictPublicBuckets", False)
        return bool(restricts) and is_public(json.loads(bucket["Policy"]))

    def resource_tags(self, arn: str) -> dict[str, str]:
        """The tags of an object's latest version, or of a bucket."""
        name, _, key = arn.removeprefix(_ARN).partition("/")
        if key:
            version = self.objects.latest(name, key)
            tags = [] if version is None else version.tags
        else:
            tags = (self.buckets.find(name) or {}).get("TagSet", [])
        return {tag["Key"]: tag["Value"] for tag in tags}

    def bucket_region(self, bucket: str) -> str | None:
        """The region of a bucket; None when there is no such bucket."""
        found = self.buckets.find(bucket)
        return None if found is None else str(found["Region"])

    def list_objects(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        """The objects whose keys begin with `prefix`, in S3's order."""
        self._require(bucket)
        found: list[ObjectInfo] = []
        low, inclusive, high = prefix, True, after_prefix(prefix)
        while True:
            page = self.objects.latest_from(bucket, low, inclusive, high, _PAGE)
            found.extend(ObjectInfo(version.key, version.size, version.etag) for version in page)
            if len(page) < _PAGE:
                return found
            low, inclusive = page[-1].key, False

    def list_keys(self, bucket: str, prefix: str) -> list[str]:
        """The keys that begin with `prefix`, in S3's order."""
        return [entry.key for entry in self.list_objects(bucket, prefix)]

    def link_objects(self, bucket: str, targets: Iterable[tuple[str, Path]]) -> None:
        """Make each destination (which must not exist) a read-only file with the bytes of its key: a hard link, or a
        copy across file systems and for objects in several parts. The folders of the destinations are made."""
        self._require(bucket)
        wanted = list(targets)
        contents = self.objects.latest_contents(bucket, [key for key, _ in wanted])
        names = [name for content in contents.values() for name in content]
        made: set[Path] = set()
        files = self._contents.files
        files.pin(names)
        try:
            for key, destination in wanted:
                if destination.parent not in made:
                    destination.parent.mkdir(parents=True, exist_ok=True)
                    made.add(destination.parent)
                content = contents[key]
                if content:
                    files.link_to(content, destination)
                else:
                    destination.touch(exist_ok=False)
        finally:
            files.unpin(names)

    def object_size(self, bucket: str, key: str, version_id: str | None = None) -> int:
        """The size of an object, or of one of its versions."""
        return self._version(bucket, key, version_id).size

    def content_type(self, bucket: str, key: str) -> str | None:
        """The Content-Type with which an object was stored, if it has one."""
        found: str | None = self._version(bucket, key, None).attributes.get("ContentType")
        return found

    def read_object(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        """The bytes of a small object, or of one of its versions."""
        version = self._version(bucket, key, version_id)
        names = [name for name, _ in version.content]
        files = self._contents.files
        files.pin(names)
        try:
            return b"".join(Path(files.path(name)).read_bytes() for name in names)
        finally:
            files.unpin(names)

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str | None = None) -> str:
        """Store bytes as an object; its ETag."""
        self._require(bucket)
        return self._put(bucket, key, self._contents.store(data, [checksums.DEFAULT]), content_type)

    def put_file(
        self, bucket: str, key: str, path: Path, content_type: str | None = None, *, move: bool = False
    ) -> str:
        """Store a file as an object, a copy of it or with `move` itself; the object's ETag."""
        self._require(bucket)
        received = self._contents.take(path, [checksums.DEFAULT], keep=not move)
        return self._put(bucket, key, received, content_type)

    def _put(self, bucket: str, key: str, received: Received, content_type: str | None) -> str:
        check_key(key)
        record = self._require(bucket)
        stored = attributes.from_request({"ContentType": content_type}, record)
        stored[checksums.MEMBERS[checksums.DEFAULT]] = received.checksums[checksums.DEFAULT]
        stored["ChecksumType"] = checksums.FULL_OBJECT
        version = ObjectVersion(bucket, key, received.size, received.etag, 0.0, received.content, stored)
        self._writer.commit(version, {"Bucket": bucket})
        return version.etag

    def _require(self, bucket: str) -> dict[str, object]:
        found = self.buckets.find(bucket)
        if found is None:
            raise no_such_bucket(bucket)
        return found

    def _version(self, bucket: str, key: str, version_id: str | None) -> ObjectVersion:
        self._require(bucket)
        objects = self.objects
        version = objects.latest(bucket, key) if version_id is None else objects.version(bucket, key, version_id)
        if version is None or version.is_delete_marker:
            raise KeyError(key)
        return version

    def _telling(self, operation: Operation) -> Operation:
        """The operation, whose resource is recorded, whose body is what its checksums say, and whose answer tells the
        cross-origin rules."""

        def told(call: Call, request: Request) -> Response | Awaitable[Response]:
            if "Bucket" in request:
                bucket = request["Bucket"]
                call.resource = object_arn(bucket, request["Key"]) if "Key" in request else bucket_arn(bucket)
            # The checksums of CompleteMultipartUpload are about the object, not about its list of parts.
            if call.document and call.operation != "CompleteMultipartUpload":
                checksums.verify_document(call.http.headers, call.document)
            if "origin" in call.http.headers:
                self._cors.tell(call, request)
            return operation(call, request)

        return told

    async def _expire(self) -> None:
        while True:
            for _ in self._rounds.run():
                await asyncio.sleep(0)
            await self._clock.sleep(_LIFECYCLE_SECONDS)

    async def _tidy(self) -> None:
        if self._needs_sweep:
            await self._contents.run(self._sweep)
            self._needs_sweep = False
        self.tidied.set()
        while True:
            await asyncio.sleep(_COLLECT_SECONDS)
            await self._contents.run(self._contents.files.collect)
            await self._contents.run(self._contents.files.reserve)

    def _sweep(self) -> None:
        """Remove the content files that no row names: written, but never acknowledged, or deleted, but still there."""
        named = self.objects.contents() | self.uploads.contents()
        self._contents.files.sweep(named)


def _bucket_of(arn: str) -> str:
    """The bucket of its own ARN or of an object's."""
    return arn.removeprefix(_ARN).partition("/")[0]
