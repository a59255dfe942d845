"""Lists: order, prefixes, delimiters, pages, encodings, and common prefixes that are skipped, not scanned."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.localcloud.services.s3.listing import after_prefix, common_prefix, list_latest, list_versions
from sagehound.localcloud.services.s3.records import ObjectTable, ObjectVersion
from sagehound.localcloud.state.store import Store
from tests.cloud.s3_support import keys, new_bucket, prefixes, refusal
from tests.cloud_process import CloudProcess

NAMES = ["d/1", "d/2", "d/s/3", "d/s/4", "d/t/5", "e", "f g/ü+&<>", "z"]


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name = new_bucket(s3)
    for key in reversed(NAMES):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    return name


def test_order_and_members(s3: Any, bucket: str) -> None:
    answer = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)
    assert keys(answer) == NAMES
    assert (answer["KeyCount"], answer["IsTruncated"], answer["MaxKeys"]) == (8, False, 1000)
    entry = answer["Contents"][0]
    assert (entry["Size"], entry["StorageClass"], entry["ChecksumAlgorithm"]) == (1, "STANDARD", ["CRC32"])
    assert entry["Owner"]["ID"]


def test_prefix_and_delimiter(s3: Any, bucket: str) -> None:
    top = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert (keys(top), prefixes(top)) == (["e", "z"], ["d/", "f g/"])
    inner = s3.list_objects_v2(Bucket=bucket, Prefix="d/", Delimiter="/")
    assert (keys(inner), prefixes(inner)) == (["d/1", "d/2"], ["d/s/", "d/t/"])
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="f g/ü+")) == ["f g/ü+&<>"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="nothing")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
def test_pages(s3: Any, bucket: str, operation: str, size: int) -> None:
    pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
    assert [key for page in pages for key in keys(page)] == NAMES
    found = []
    for page in s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}):
        assert len(keys(page)) + len(prefixes(page)) <= size
        found += keys(page) + prefixes(page)
    assert sorted(found) == ["d/", "e", "f g/", "z"]


def test_start_after_and_markers(s3: Any, bucket: str) -> None:
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="d/s/4")) == ["d/t/5", "e", "f g/ü+&<>", "z"]
    assert keys(s3.list_objects(Bucket=bucket, Marker="e")) == ["f g/ü+&<>", "z"]
    assert prefixes(s3.list_objects(Bucket=bucket, Marker="d/", Delimiter="/")) == ["f g/"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["IsTruncated"] is False


def test_bad_arguments(s3: Any, bucket: str) -> None:
    assert refusal(s3.list_objects_v2, Bucket=bucket, ContinuationToken="#") == ("InvalidArgument", 400)
    foreign = base64.b64encode(b"another cloud's").decode()
    for token in ("", "AAAA", foreign):
        assert refusal(s3.list_objects_v2, Bucket=bucket, ContinuationToken=token) == ("InvalidArgument", 400)
    for size in (-1, 2**31, 10**30):
        assert refusal(s3.list_objects_v2, Bucket=bucket, MaxKeys=size) == ("InvalidArgument", 400)
    assert refusal(s3.list_object_versions, Bucket=bucket, VersionIdMarker="x") == ("InvalidArgument", 400)


ALPHABET = st.text(alphabet="ab/-\U0010ffff\ud7ff\ue000é", min_size=1, max_size=6)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ObjectTable:
    path: Path = tmp_path_factory.mktemp("s3") / "store"
    return ObjectTable(Store(path))


@settings(max_examples=150, deadline=None)
@given(
    names=st.sets(ALPHABET, max_size=40),
    prefix=st.text(alphabet="ab/\U0010ffff", max_size=2),
    delimiter=st.sampled_from(["", "/", "a", "//", "-"]),
    limit=st.integers(1, 7),
)
def test_pages_equal_the_definition(
    table: ObjectTable, names: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    """Against a list made by the definition: sort by UTF-8 bytes, group by delimiter, cut."""
    with table.transaction():
        table._store.execute("DELETE FROM s3_objects")
        for name in names:
            table.add(ObjectVersion("b", name, 0, "", 0.0), None)
    chosen = sorted((name for name in names if name.startswith(prefix)), key=str.encode)
    expected = list(dict.fromkeys(common_prefix(name, prefix, delimiter) or name for name in chosen))
    found: list[str] = []
    found_versions: list[str] = []
    after, more = "", True
    while more:
        page = list_latest(table, "b", prefix, delimiter, after, limit)
        found += sorted([version.key for version in page.versions] + page.prefixes, key=str.encode)
        after, more = page.last, page.is_truncated
    after, more, after_id = "", True, None
    while more:
        page = list_versions(table, "b", prefix, delimiter, after, after_id, limit)
        found_versions += sorted([version.key for version in page.versions] + page.prefixes, key=str.encode)
        after, more = page.last, page.is_truncated
        after_id = page.last_version.id if page.last_version else None
    assert found == expected
    assert found_versions == expected


def test_after_prefix_is_the_next_string() -> None:
    assert after_prefix("a/") == "a0"
    assert after_prefix("a\ud7ff") == "a\ue000"
    assert after_prefix("a\U0010ffff") == "b"
    assert after_prefix("\U0010ffff") is None
    assert after_prefix("") is None


def test_common_prefixes_are_skipped_by_seeks(tmp_path: Path) -> None:
    """Three groups of many keys: the rows that a list with a delimiter reads do not grow with the groups."""
    table = ObjectTable(Store(tmp_path / "store"))
    with table.transaction():
        for group in "abc":
            for number in range(5000):
                table.add(ObjectVersion("b", f"{group}/{number:05d}", 0, "", 0.0), None)
    read = 0
    latest_from = table.latest_from

    def counted(*arguments: Any) -> list[ObjectVersion]:
        nonlocal read
        versions = latest_from(*arguments)
        read += len(versions)
        return versions

    table.latest_from = counted  # type: ignore[method-assign]
    assert list_latest(table, "b", "", "/", "", 1000).prefixes == ["a/", "b/", "c/"]
    assert read <= 4 * 32


def test_lists_use_their_indices(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    ObjectTable(store)
    plan = store.execute(
        "EXPLAIN QUERY PLAN SELECT key FROM s3_objects WHERE bucket = ? AND key >= ? AND is_latest ORDER BY key",
        ("b", "k"),
    )
    assert [row["detail"] for row in plan] == ["SEARCH s3_objects USING INDEX s3_latest (bucket=? AND key>?)"]
