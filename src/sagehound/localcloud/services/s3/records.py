"""The rows of buckets and object versions, and the SQL that reads and writes them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from sqlite3 import Row
from typing import Any

from sagehound.localcloud.services.s3.errors import access_denied, no_such_bucket
from sagehound.localcloud.services.s3.names import NULL_VERSION
from sagehound.localcloud.state.store import Store, dumps, loads

Bucket = dict[str, Any]
"""Name, Region, CreationDate and one member per configuration, under the name of its Put operation's member."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS s3_objects (
    id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, version_id TEXT NOT NULL,
    is_latest INTEGER NOT NULL, is_delete_marker INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    last_modified REAL NOT NULL, attributes TEXT NOT NULL, tags TEXT NOT NULL, content TEXT NOT NULL,
    parts TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS s3_versions ON s3_objects (bucket, key, id DESC);
CREATE UNIQUE INDEX IF NOT EXISTS s3_latest ON s3_objects (bucket, key) WHERE is_latest;
"""
_LISTED = "bucket, key, version_id, is_latest, is_delete_marker, size, etag, last_modified, attributes, tags"
_COLUMNS = f"{_LISTED}, content"
_LIST = f"SELECT id, {_LISTED}, '' AS content FROM s3_objects"
_KIND = "s3_bucket"
_KEYS_AT_ONCE = 500
"""Of one statement: SQLite allows some ten thousand parameters."""


@dataclass(slots=True)
class ObjectVersion:
    """One version of one object; `content` names its content files in order, as (id, size)."""

    bucket: str
    key: str
    size: int
    etag: str
    last_modified: float
    content: list[tuple[str, int]] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    """Headers and the rest by AWS's names: ContentType, Metadata, StorageClass, Checksum*, PartsCount..."""
    tags: list[dict[str, str]] = field(default_factory=list)
    version_id: str = NULL_VERSION
    is_latest: bool = True
    is_delete_marker: bool = False
    id: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)
    """PartNumber, Size and Checksum* of the parts of a multipart upload; read back by `ObjectTable.parts` only."""

    @property
    def quoted_etag(self) -> str:
        """The ETag as it travels."""
        return f'"{self.etag}"'


class BucketTable:
    """Buckets by name, cached: every request reads one, few write one."""

    def __init__(self, store: Store, account_id: str) -> None:
        self._store = store
        self._account_id = account_id
        self._buckets: dict[str, Bucket] = {record["Name"]: record for record in store.list(_KIND)}

    def find(self, name: str) -> Bucket | None:
        """The bucket, or None."""
        return self._buckets.get(name)

    def require(self, request: dict[str, Any], *, member: str = "Bucket", owner: str = "ExpectedBucketOwner") -> Bucket:
        """The bucket that a request names: NoSuchBucket, or AccessDenied when its expected owner is another account."""
        bucket = self._buckets.get(request[member])
        if bucket is None:
            raise no_such_bucket(request[member])
        if request.get(owner, self._account_id) != self._account_id:
            raise access_denied()
        return bucket

    def all(self) -> list[Bucket]:
        """Every bucket, by name."""
        return [self._buckets[name] for name in sorted(self._buckets)]

    def save(self, bucket: Bucket) -> None:
        """Create or replace a bucket."""
        self._store.put(_KIND, "", bucket["Name"], bucket)
        self._buckets[bucket["Name"]] = bucket

    def delete(self, name: str) -> None:
        """Remove a bucket."""
        self._store.delete(_KIND, "", name)
        self._buckets.pop(name, None)


class ObjectTable:
    """Object versions, in S3's order: keys by their UTF-8 bytes, newest version first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create_tables(SCHEMA)

    def latest(self, bucket: str, key: str) -> ObjectVersion | None:
        """The latest version of a key, which may be a delete marker; None when there is none."""
        rows = self._store.execute(
            f"SELECT id, {_COLUMNS} FROM s3_objects WHERE bucket = ? AND key = ? AND is_latest", (bucket, key)
        )
        return _version(rows[0]) if rows else None

    def latest_contents(self, bucket: str, keys: Sequence[str]) -> dict[str, list[str]]:
        """The ids of the content files of each key's latest version; without the keys that have no object now."""
        found: dict[str, list[str]] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            asked = keys[start : start + _KEYS_AT_ONCE]
            sql = (
                "SELECT key, content FROM s3_objects WHERE bucket = ? AND is_latest AND NOT is_delete_marker "
                f"AND key IN ({', '.join('?' * len(asked))})"
            )
            rows = self._store.execute(sql, (bucket, *asked))
            found.update((row[0], [name for name, _ in parse_content(row[1])]) for row in rows)
        return found

    def version(self, bucket: str, key: str, version_id: str) -> ObjectVersion | None:
        """One version of a key, or None."""
        sql = f"SELECT id, {_COLUMNS} FROM s3_objects WHERE bucket = ? AND key = ? AND version_id = ?"
        rows = self._store.execute(sql, (bucket, key, version_id))
        return _version(rows[0]) if rows else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are acknowledged together."""
        with self._store.transaction():
            yield

    def add(self, version: ObjectVersion, versioning: str | None) -> list[str]:
        """Make `version` the latest of its key, under its bucket's versioning status; the contents that it replaced.

        Enabled gives it an id of its own; otherwise it becomes, and replaces, the version "null".
        """
        version.version_id = new_version_id() if versioning == "Enabled" else NULL_VERSION
        replaced: list[str] = []
        with self._store.transaction() as connection:
            key = (version.bucket, version.key)
            if versioning != "Enabled":
                sql = "DELETE FROM s3_objects WHERE bucket = ? AND key = ? AND version_id = 'null' RETURNING content"
                rows = connection.execute(sql, key).fetchall()
                replaced = [name for row in rows for name, _ in parse_content(row[0])]
            if versioning is not None:
                connection.execute(
                    "UPDATE s3_objects SET is_latest = 0 WHERE bucket = ? AND key = ? AND is_latest", key
                )
            version.id = self._insert(version)
        return replaced

    def remove(self, version: ObjectVersion) -> list[str]:
        """Remove one version for good; the next newest becomes the latest. Returns its contents."""
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM s3_objects WHERE id = ?", (version.id,))
            if version.is_latest:
                connection.execute(
                    "UPDATE s3_objects SET is_latest = 1 WHERE id = "
                    "(SELECT id FROM s3_objects WHERE bucket = ? AND key = ? ORDER BY id DESC LIMIT 1)",
                    (version.bucket, version.key),
                )
        return [content for content, _ in version.content]

    def remove_listed(self, version: ObjectVersion) -> list[str]:
        """`remove` for a version that came from a list, whose contents are not known."""
        with self._store.transaction():
            found = self.version(version.bucket, version.key, version.version_id)
            return [] if found is None else self.remove(found)

    def is_alone(self, version: ObjectVersion) -> bool:
        """Whether its key has no other version."""
        sql = "SELECT 1 FROM s3_objects WHERE bucket = ? AND key = ? LIMIT 2"
        return len(self._store.execute(sql, (version.bucket, version.key))) == 1

    def save(self, version: ObjectVersion) -> None:
        """Write back the tags and attributes of a version."""
        sql = "UPDATE s3_objects SET attributes = ?, tags = ? WHERE id = ?"
        self._store.execute(sql, (dumps(version.attributes), _dump_tags(version.tags), version.id))

    def has_any(self, bucket: str) -> bool:
        """Whether a bucket holds any version or delete marker."""
        return bool(self._store.execute("SELECT 1 FROM s3_objects WHERE bucket = ? LIMIT 1", (bucket,)))

    def parts(self, version: ObjectVersion) -> list[dict[str, Any]]:
        """PartNumber, Size and Checksum* of the parts that a version was completed from; empty when it had none."""
        rows = self._store.execute("SELECT parts FROM s3_objects WHERE id = ?", (version.id,))
        return loads(rows[0][0]) if rows and rows[0][0] else []

    def contents(self) -> set[str]:
        """The ids of all content files that versions name; reads in pages, so that others get their turn."""
        found: set[str] = set()
        last = 0
        while True:
            sql = "SELECT id, content FROM s3_objects WHERE id > ? ORDER BY id LIMIT 5000"
            rows = self._store.execute(sql, (last,))
            if not rows:
                return found
            last = rows[-1][0]
            found.update(name for row in rows for name, _ in parse_content(row[1]))

    def latest_from(self, bucket: str, low: str, inclusive: bool, high: str | None, limit: int) -> list[ObjectVersion]:
        """Up to `limit` latest versions that are no delete markers, with keys from `low` to below `high`.

        As in all lists, their `content` is left empty.
        """
        sql = (
            f"{_LIST} WHERE bucket = ? AND key {'>=' if inclusive else '>'} ? {'' if high is None else 'AND key < ?'} "
            "AND is_latest AND NOT is_delete_marker ORDER BY key LIMIT ?"
        )
        rows = self._store.execute(sql, (bucket, low, *([] if high is None else [high]), limit))
        return [_version(row) for row in rows]

    def versions_from(
        self, bucket: str, low: str, below_id: int | None, high: str | None, limit: int
    ) -> list[ObjectVersion]:
        """Up to `limit` versions of any kind from key `low` on; of `low` itself only those older than `below_id`."""
        sql = (
            f"{_LIST} WHERE bucket = ? AND key >= ? AND NOT (key = ? AND id >= ?) "
            f"{'' if high is None else 'AND key < ?'} ORDER BY key, id DESC LIMIT ?"
        )
        bound = 1 << 62 if below_id is None else below_id
        rows = self._store.execute(sql, (bucket, low, low, bound, *([] if high is None else [high]), limit))
        return [_version(row) for row in rows]

    def _insert(self, version: ObjectVersion) -> int:
        rows = self._store.execute(
            f"INSERT INTO s3_objects ({_COLUMNS}, parts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                version.bucket,
                version.key,
                version.version_id,
                version.is_latest,
                version.is_delete_marker,
                version.size,
                version.etag,
                version.last_modified,
                dumps(version.attributes),
                _dump_tags(version.tags),
                " ".join(f"{name}/{size}" for name, size in version.content),
                dumps(version.parts) if version.parts else "",
            ),
        )
        return int(rows[0][0])


def new_version_id() -> str:
    """A version id as S3 makes them: 32 opaque characters."""
    return secrets.token_urlsafe(24)


def parse_content(text: str) -> list[tuple[str, int]]:
    """The content files of a row's `content` column, as (id, size)."""
    pairs = (entry.split("/") for entry in text.split())
    return [(name, int(size)) for name, size in pairs]


def _dump_tags(tags: list[dict[str, str]]) -> str:
    return dumps(tags) if tags else ""


def _version(row: Row) -> ObjectVersion:
    return ObjectVersion(
        bucket=row["bucket"],
        key=row["key"],
        version_id=row["version_id"],
        is_latest=bool(row["is_latest"]),
        is_delete_marker=bool(row["is_delete_marker"]),
        size=row["size"],
        etag=row["etag"],
        last_modified=row["last_modified"],
        content=parse_content(row["content"]),
        attributes=loads(row["attributes"]),
        tags=loads(row["tags"]) if row["tags"] else [],
        id=row["id"],
    )
