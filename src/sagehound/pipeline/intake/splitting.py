"""Which picture goes to which split: by seed, stratified by class, one content in one split only.

Everything here is pure: labels and content hashes in, splits out.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.manifest import SPLITS


@dataclass(frozen=True)
class Content:
    """What splitting knows of a picture: its class and the hash of its bytes."""

    label: str
    sha256: str


@dataclass(frozen=True)
class Duplicate:
    """The same bytes in two splits, by position: ``leave`` is in the split that is trained on more directly."""

    leave: int
    keep: int


def split_by_seed(pictures: Sequence[Content], shares: Mapping[str, float], seed: int) -> list[str]:
    """A split for each picture: ``shares`` of each class for the named splits, the rest for train.

    Pictures with equal bytes are one unit and go together, also when they lie in two classes. The order
    within a class is by SHA-256 of seed and content, so it depends neither on file names nor on the machine,
    and a picture more or less moves few others. Every named split gets at least one picture of each class.
    Raises DataRefused for a class with too few different pictures.
    """
    owner: dict[str, str] = {}
    for picture in pictures:
        # The smaller label owns a content that lies in two classes: a rule that no order of files changes.
        owner[picture.sha256] = min(owner.get(picture.sha256, picture.label), picture.label)
    groups: dict[str, list[str]] = defaultdict(list)
    for sha256, label in owner.items():
        groups[label].append(sha256)
    wanted = {split: share for split, share in shares.items() if share > 0}
    _refuse_small(pictures, groups, len(wanted) + 1)
    assigned: dict[str, str] = {}
    for contents in groups.values():
        order = sorted(contents, key=lambda sha256: hashlib.sha256(f"{seed}:{sha256}".encode()).digest())
        for split, share in wanted.items():
            count = max(1, round(len(contents) * share))
            # train keeps at least one: the classes are checked for len(wanted) + 1 different pictures above.
            count = min(count, len(order) - 1 - _still_to_serve(wanted, split))
            for sha256 in order[:count]:
                assigned[sha256] = split
            order = order[count:]
        for sha256 in order:
            assigned[sha256] = "train"
    return [assigned[picture.sha256] for picture in pictures]


def duplicates_across(pictures: Sequence[Content], splits: Sequence[str]) -> list[Duplicate]:
    """Pictures whose bytes are in a later split (train < valid < test) too, in the order given.

    A picture that is trained on and tested on makes the score too good, so the one to leave out is the one
    in train before the one in valid before the one in test.
    """
    last: dict[str, int] = {}
    for position, picture in enumerate(pictures):
        known = last.get(picture.sha256)
        if known is None or SPLITS.index(splits[position]) > SPLITS.index(splits[known]):
            last[picture.sha256] = position
    return [
        Duplicate(leave=position, keep=last[picture.sha256])
        for position, picture in enumerate(pictures)
        if splits[position] != splits[last[picture.sha256]]
    ]


def labels_in_conflict(pictures: Sequence[Content]) -> list[tuple[int, int]]:
    """Pairs of positions with equal bytes under two class names (each content named once)."""
    first: dict[str, int] = {}
    named: set[str] = set()
    found: list[tuple[int, int]] = []
    for position, picture in enumerate(pictures):
        other = first.setdefault(picture.sha256, position)
        if pictures[other].label != picture.label and picture.sha256 not in named:
            named.add(picture.sha256)
            found.append((other, position))
    return found


def _still_to_serve(wanted: Mapping[str, float], split: str) -> int:
    names = list(wanted)
    return len(names) - 1 - names.index(split)


def _refuse_small(pictures: Sequence[Content], groups: Mapping[str, list[str]], needed: int) -> None:
    for label in sorted({picture.label for picture in pictures}):
        if len(groups.get(label, [])) < needed:
            raise DataRefused(
                f"class {label!r} has {len(groups.get(label, []))} different pictures of its own; "
                f"splitting needs at least {needed}",
                "Add pictures to the class, remove it, or give train/, valid/ and test/ folders yourself.",
            )
