"""The rows of multipart uploads and their parts."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Row
from typing import Any

from sagehound.localcloud.services.s3.errors import no_such_upload
from sagehound.localcloud.services.s3.records import parse_content
from sagehound.localcloud.state.store import Store, dumps, loads

SCHEMA = """
CREATE TABLE IF NOT EXISTS s3_uploads (
    upload_id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, initiated REAL NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS s3_uploads_by_key ON s3_uploads (bucket, key, initiated);
CREATE TABLE IF NOT EXISTS s3_parts (
    upload_id TEXT NOT NULL, part_number INTEGER NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    last_modified REAL NOT NULL, checksums TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (upload_id, part_number)
) WITHOUT ROWID;
"""


@dataclass(slots=True)
class Upload:
    """A multipart upload that is under way."""

    upload_id: str
    bucket: str
    key: str
    initiated: float
    body: dict[str, Any]
    """Attributes and Tags of the object to be, Algorithm and ChecksumType, IsExplicit: whether those were asked for."""


@dataclass(slots=True)
class Part:
    """One part of an upload."""

    upload_id: str
    number: int
    size: int
    etag: str
    last_modified: float
    checksums: dict[str, str]
    content: list[tuple[str, int]]


class UploadTable:
    """Multipart uploads in the order of their keys."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create_tables(SCHEMA)

    def add(self, upload: Upload) -> None:
        """A new upload."""
        self._store.execute(
            "INSERT INTO s3_uploads VALUES (?, ?, ?, ?, ?)",
            (upload.upload_id, upload.bucket, upload.key, upload.initiated, dumps(upload.body)),
        )

    def require(self, request: dict[str, Any]) -> Upload:
        """The upload that a request names by id, bucket and key; NoSuchUpload."""
        sql = "SELECT * FROM s3_uploads WHERE upload_id = ? AND bucket = ? AND key = ?"
        rows = self._store.execute(sql, (request["UploadId"], request["Bucket"], request["Key"]))
        if not rows:
            raise no_such_upload(request["UploadId"])
        return _upload(rows[0])

    def of_bucket(self, bucket: str, prefix_low: str, prefix_high: str | None) -> list[Upload]:
        """The uploads of a bucket with keys in a range, by key and age."""
        high = "" if prefix_high is None else "AND key < ?"
        sql = f"SELECT * FROM s3_uploads WHERE bucket = ? AND key >= ? {high} ORDER BY key, initiated, upload_id"
        bounds = (prefix_low,) if prefix_high is None else (prefix_low, prefix_high)
        return [_upload(row) for row in self._store.execute(sql, (bucket, *bounds))]

    def put_part(self, part: Part) -> list[str]:
        """Add or replace a part; the contents of the one that it replaced."""
        with self._store.transaction() as connection:
            sql = "SELECT content FROM s3_parts WHERE upload_id = ? AND part_number = ?"
            replaced = connection.execute(sql, (part.upload_id, part.number)).fetchall()
            connection.execute(
                "INSERT OR REPLACE INTO s3_parts VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    part.upload_id,
                    part.number,
                    part.size,
                    part.etag,
                    part.last_modified,
                    dumps(part.checksums),
                    " ".join(f"{name}/{size}" for name, size in part.content),
                ),
            )
        return [name for row in replaced for name, _ in parse_content(row[0])]

    def parts(self, upload_id: str, after: int = 0, limit: int = -1) -> list[Part]:
        """The parts of an upload by number."""
        sql = "SELECT * FROM s3_parts WHERE upload_id = ? AND part_number > ? ORDER BY part_number LIMIT ?"
        return [_part(row) for row in self._store.execute(sql, (upload_id, after, limit))]

    def remove(self, upload_id: str) -> list[str]:
        """End an upload; the contents of its parts."""
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM s3_uploads WHERE upload_id = ?", (upload_id,))
            sql = "DELETE FROM s3_parts WHERE upload_id = ? RETURNING content"
            rows = connection.execute(sql, (upload_id,)).fetchall()
        return [name for row in rows for name, _ in parse_content(row[0])]

    def contents(self) -> set[str]:
        """The ids of all content files that parts name."""
        rows = self._store.execute("SELECT content FROM s3_parts")
        return {name for row in rows for name, _ in parse_content(row[0])}


def _upload(row: Row) -> Upload:
    return Upload(row["upload_id"], row["bucket"], row["key"], row["initiated"], loads(row["body"]))


def _part(row: Row) -> Part:
    return Part(
        row["upload_id"],
        row["part_number"],
        row["size"],
        row["etag"],
        row["last_modified"],
        loads(row["checksums"]),
        parse_content(row["content"]),
    )
