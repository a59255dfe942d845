"""Names in messages: the first few, and how many more."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], show: int = 10) -> str:
    """The first ``show`` names, printable, and the number of the others."""
    # Names that are not UTF-8 come as surrogates from the file system; they must not break the message itself.
    shown = ", ".join(name.encode("utf-8", "backslashreplace").decode() for name in names[:show])
    rest = len(names) - show
    return f"{shown} and {rest:,} more" if rest > 0 else shown
