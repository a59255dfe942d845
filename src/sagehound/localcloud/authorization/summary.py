"""Many decisions of one kind as one: what the record says of a thousand keys that one call deleted."""

from __future__ import annotations


def summary(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    """One entry for each action, verdict and statement; of several resources the beginning that they share, and `*`."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for entry in entries:
        kind = tuple(value for name, value in entry.items() if name != "resource")
        groups.setdefault(kind, []).append(entry["resource"])
    found = []
    for (action, *others), resources in groups.items():
        resource = resources[0] if len(set(resources)) == 1 else f"{_shared(min(resources), max(resources))}*"
        names = ("verdict", "by", "policy", "statement")
        found.append({"action": action, "resource": resource, **dict(zip(names, others, strict=True))})
    return found


def _shared(first: str, last: str) -> str:
    """The beginning that the first and the last of sorted texts share, which all between them share too."""
    for position, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:position]
    return min(first, last, key=len)
