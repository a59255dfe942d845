"""Walking keys in order: prefixes, delimiters and pages, skipping from one common prefix to the next by index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sagehound.localcloud.services.s3.records import ObjectTable, ObjectVersion

_FIRST_BATCH = 32
_LARGEST_BATCH = 1001
_LAST_BEFORE_SURROGATES = 0xD7FF
_FIRST_AFTER_SURROGATES = 0xE000
_LAST_CODE_POINT = 0x10FFFF
NEWEST = 1 << 62
"""Above the id of every version: of a key, all versions are older than this."""


@dataclass(slots=True)
class Page:
    """One page of a list: entries and common prefixes together count against its size."""

    versions: list[ObjectVersion] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    is_truncated: bool = False
    last: str = ""
    """The last key or common prefix on the page: where the next one goes on."""
    last_version: ObjectVersion | None = None


def after_prefix(prefix: str) -> str | None:
    """The first string after all that begin with `prefix`, in the order of code points; None when there is none."""
    while prefix:
        code = ord(prefix[-1])
        if code < _LAST_CODE_POINT:
            code = _FIRST_AFTER_SURROGATES if code == _LAST_BEFORE_SURROGATES else code + 1
            return prefix[:-1] + chr(code)
        prefix = prefix[:-1]
    return None


def common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """The part of `key` up to the first delimiter after `prefix`, delimiter included; None when there is none."""
    if not delimiter:
        return None
    found = key.find(delimiter, len(prefix))
    return None if found < 0 else key[: found + len(delimiter)]


def list_latest(objects: ObjectTable, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Up to `limit` keys and common prefixes after `after` (a key or common prefix), of what is not deleted."""
    high = after_prefix(prefix)

    def fetch(low: str, inclusive: bool, count: int) -> list[ObjectVersion]:
        return objects.latest_from(bucket, low, inclusive, high, count)

    low, inclusive = (prefix, True) if after < prefix else (after, False)
    passed = common_prefix(after, prefix, delimiter) if after.startswith(prefix) else None
    if passed is not None and passed == after:
        following = after_prefix(passed)
        if following is None:
            return Page()
        low, inclusive = following, True
    return _page(_walk(fetch, low, inclusive, prefix, delimiter, limit), limit)


def list_versions(
    objects: ObjectTable, bucket: str, prefix: str, delimiter: str, after: str, after_id: int | None, limit: int
) -> Page:
    """Up to `limit` versions, delete markers and common prefixes after `after`, and of that key what is older.

    Older means than `after_id`; without it all versions of the key `after` are passed over.
    """
    high = after_prefix(prefix)
    bound = [after_id]

    def fetch(low: str, inclusive: bool, count: int) -> list[ObjectVersion]:
        below = None if inclusive else bound[0] if bound[0] is not None else 0
        return objects.versions_from(bucket, low, below, high, count)

    low, inclusive = (prefix, True) if after < prefix else (after, False)
    passed = common_prefix(after, prefix, delimiter) if after.startswith(prefix) else None
    if passed is not None and passed == after:
        following = after_prefix(passed)
        if following is None:
            return Page()
        low, inclusive = following, True

    def resume(version: ObjectVersion) -> tuple[str, bool]:
        bound[0] = version.id
        return version.key, False

    return _page(_walk(fetch, low, inclusive, prefix, delimiter, limit, resume), limit)


def _after_key(version: ObjectVersion) -> tuple[str, bool]:
    return version.key, False


def _walk(
    fetch: Callable[[str, bool, int], list[ObjectVersion]],
    low: str,
    inclusive: bool,
    prefix: str,
    delimiter: str,
    limit: int,
    resume: Callable[[ObjectVersion], tuple[str, bool]] = _after_key,
) -> Iterator[ObjectVersion | str]:
    """Versions and common prefixes in order, fetched in batches; one seek passes over a whole common prefix."""
    batch = _FIRST_BATCH if delimiter else min(limit + 1, _LARGEST_BATCH)
    while True:
        versions = fetch(low, inclusive, batch)
        grouped: str | None = None
        for version in versions:
            if grouped is not None and version.key.startswith(grouped):
                continue
            grouped = common_prefix(version.key, prefix, delimiter)
            yield version if grouped is None else grouped
        if len(versions) < batch:
            return
        if grouped is not None:
            following = after_prefix(grouped)
            if following is None:
                return
            low, inclusive = following, True
        else:
            low, inclusive = resume(versions[-1])
            batch = min(batch * 2, _LARGEST_BATCH)


def _page(entries: Iterator[ObjectVersion | str], limit: int) -> Page:
    page = Page()
    if limit == 0:
        return page
    for count, entry in enumerate(entries):
        if count == limit:
            page.is_truncated = True
            break
        if isinstance(entry, str):
            page.prefixes.append(entry)
            page.last, page.last_version = entry, None
        else:
            page.versions.append(entry)
            page.last, page.last_version = entry.key, entry
    return page
