"""From a layout to a manifest: the checks on the pictures themselves, each with the names of what it found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.decode_cache import DecodeCache, Verdict
from sagehound.pipeline.intake.layout import FoundPicture, Layout
from sagehound.pipeline.intake.manifest import SPLITS, DataManifest, ManifestEntry
from sagehound.pipeline.intake.named import listed
from sagehound.pipeline.intake.pictures import Limits, check_pictures
from sagehound.pipeline.intake.splitting import Content, duplicates_across, labels_in_conflict, split_by_seed
from sagehound.pipeline.progress import Reporter
from sagehound.settings import DataSettings

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_MAX_KEY_BYTES = 900  # S3 takes 1,024 bytes; the rest is for the prefix


@dataclass(frozen=True)
class _Checked:
    """A readable picture with what was read."""

    found: FoundPicture
    verdict: Verdict

    @property
    def content(self) -> Content:
        return Content(self.found.label, self.verdict.sha256)


def checked_manifest(
    name: str, layout: Layout, settings: DataSettings, cache: Path, reporter: Reporter
) -> DataManifest:
    """The data set, after every check; raises DataRefused with the names of the files that are in the way."""
    _refuse_names(layout)
    if layout.left_out:
        reporter.note(f"{len(layout.left_out)} files that are no pictures were left out: {listed(layout.left_out)}")
    pictures = _readable(layout, settings, cache, reporter)
    splits = _splits(pictures, settings, reporter)
    for first, second in labels_in_conflict([picture.content for picture in pictures]):
        one, other = pictures[first].found, pictures[second].found
        reporter.note(f"the same picture has two labels: {_place(one, layout)} and {_place(other, layout)}")
    chosen = _without_duplicates(pictures, splits, layout, settings, reporter)
    entries = [_entry(picture, split) for picture, split in chosen]
    _refuse_hollow(entries, layout, reporter)
    return DataManifest(name, tuple(sorted(entries, key=lambda entry: entry.key)))


def _readable(layout: Layout, settings: DataSettings, cache: Path, reporter: Reporter) -> list[_Checked]:
    limits = Limits(int(settings.max_picture_mb * 1e6), int(settings.max_picture_megapixels * 1e6))
    decoded = DecodeCache(cache)
    try:
        verdicts = check_pictures(
            [found.path for found in layout.pictures],
            limits,
            decoded,
            lambda done, total: reporter.progress("decode", done, total, "pictures"),
        )
    finally:
        decoded.close()
    checked = [_Checked(found, verdict) for found, verdict in zip(layout.pictures, verdicts, strict=True)]
    bad = [f"{_place(one.found, layout)} {one.verdict.problem}" for one in checked if one.verdict.problem]
    if bad and not settings.skip_unreadable:
        raise DataRefused(
            f"{len(bad)} of {len(checked):,} pictures are unreadable: {listed(bad)}",
            "Repair or remove them, or leave them out with --skip-unreadable.",
        )
    if bad:
        reporter.note(f"{len(bad)} unreadable pictures were left out: {listed(bad)}")
    return [one for one in checked if not one.verdict.problem]


def _splits(pictures: Sequence[_Checked], settings: DataSettings, reporter: Reporter) -> list[str]:
    """The split of each picture: its folder's, and for splits without a folder a share of train, by seed."""
    shares = {"valid": settings.valid_share, "test": settings.test_share}
    if sum(shares.values()) >= 1:
        raise DataRefused("data.valid_share and data.test_share leave nothing to train on", "Make them smaller.")
    given = {picture.found.split for picture in pictures if picture.found.split}
    missing = {split: share for split, share in shares.items() if split not in given}
    if not missing:
        return [str(picture.found.split) for picture in pictures]
    # In a folder without splits every class folder's pictures are split; otherwise those of train/.
    at = [position for position, picture in enumerate(pictures) if picture.found.split in (None, "train")]
    assigned = dict(zip(at, split_by_seed([pictures[i].content for i in at], missing, settings.seed), strict=True))
    whence = "train/" if given else "the class folders"
    parts = " and ".join(f"{share:.0%} {split}" for split, share in missing.items() if share > 0)
    reporter.note(f"split {whence} by seed {settings.seed}: {parts or 'nothing'} of each class")
    return [assigned.get(position) or str(picture.found.split) for position, picture in enumerate(pictures)]


def _without_duplicates(
    pictures: Sequence[_Checked], splits: Sequence[str], layout: Layout, settings: DataSettings, reporter: Reporter
) -> list[tuple[_Checked, str]]:
    found = duplicates_across([picture.content for picture in pictures], splits)
    names = [f"{_place(pictures[d.leave].found, layout)} = {_place(pictures[d.keep].found, layout)}" for d in found]
    if found and settings.duplicates == "refuse":
        raise DataRefused(
            f"{len(found)} pictures are in two splits: {listed(names)}",
            "Remove one of each pair, or run with --duplicates drop (leaves out the one that is trained on).",
        )
    leave: set[int] = set()
    if found and settings.duplicates == "drop":
        leave = {duplicate.leave for duplicate in found}
        reporter.note(f"{len(found)} pictures are in a later split too and were left out: {listed(names)}")
    elif found:
        reporter.note(f"{len(found)} pictures are in two splits (scores will look too good): {listed(names)}")
    kept = [(picture, split) for picture, split in zip(pictures, splits, strict=True)]
    return [pair for position, pair in enumerate(kept) if position not in leave]


def _entry(picture: _Checked, split: str) -> ManifestEntry:
    found, verdict = picture.found, picture.verdict
    # What reads the pictures in the job goes by their names: camera.jfif is a JPEG too, and gets a name that says so.
    suffix = "" if found.path.suffix.lower() in _PLAIN_SUFFIXES else ".jpg"
    return ManifestEntry(
        f"{split}/{found.label}/{found.name}{suffix}", found.path, verdict.size, verdict.sha256, verdict.md5
    )


def _refuse_names(layout: Layout) -> None:
    bad: list[str] = []
    for found in layout.pictures:
        key = f"{found.split or 'train'}/{found.label}/{found.name}"
        encoded = key.encode("utf-8", "surrogateescape")
        undecodable = encoded != key.encode("utf-8", "replace")
        if undecodable or _CONTROL.search(key) or len(encoded) > _MAX_KEY_BYTES:
            bad.append(_place(found, layout))
    if bad:
        raise DataRefused(
            f"{len(bad)} file names cannot be S3 keys: {listed([ascii(name) for name in bad])}",
            f"Rename them: UTF-8, no control characters, at most {_MAX_KEY_BYTES} bytes.",
        )


def _refuse_hollow(entries: Sequence[ManifestEntry], layout: Layout, reporter: Reporter) -> None:
    """At least two classes, and each class of any split is trained on."""
    by_split = {split: {entry.label for entry in entries if entry.split == split} for split in SPLITS}
    if len(by_split["train"]) < 2:
        raise DataRefused(
            f"{layout.root} has {len(by_split['train'])} class to train on; a classifier needs two",
            "Give a folder with one folder of pictures per class.",
        )
    for split in ("valid", "test"):
        unknown = sorted(by_split[split] - by_split["train"])
        if unknown:
            raise DataRefused(
                f"classes in {split}/ that train/ does not have: {listed(unknown)}",
                f"Add pictures of them to train/, or remove them from {split}/.",
            )
        absent = sorted(by_split["train"] - by_split[split])
        if absent:
            reporter.note(f"{split} has no picture of {len(absent)} classes: {listed(absent)}")
    if not by_split["valid"]:
        raise DataRefused("the validation split is empty", "Raise data.valid_share, or give a valid/ folder.")


def _place(found: FoundPicture, layout: Layout) -> str:
    return str(found.path.relative_to(layout.root))
