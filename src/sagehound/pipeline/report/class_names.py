"""Class names as people read them: without the number that keeps folders in order, and with spaces"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"^\d+[.\-_ ]+(?=\S)")


def readable(names: list[str]) -> list[str]:
    """``001.Afghan_hound`` becomes ``Afghan hound``; where two names would become one, all stay whole."""
    shown = [_NUMBER.sub("", name).replace("_", " ").strip() or name for name in names]
    return shown if len(set(shown)) == len(set(names)) else list(names)
