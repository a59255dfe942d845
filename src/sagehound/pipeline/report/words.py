"""Figures in words, the same in the page and in the terminal"""

from __future__ import annotations

import math
from datetime import datetime

MISSING = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as ``83.6 %``."""
    return MISSING if value is None or not math.isfinite(value) else f"{value * 100:.{digits}f} %"


def odds(value: float) -> str:
    """A probability: whole per cents, below one more of it, and what is nearly nothing as such."""
    if value < 0.00005:
        return "< 0.01 %"
    return percent(value, 2 if value < 0.01 else 0)


def figure(value: float | None, digits: int = 3) -> str:
    """A number with that many digits after the point."""
    if value is None:
        return MISSING
    return f"{value:,.{digits}f}" if math.isfinite(value) else str(value)


def seconds(value: float | None) -> str:
    """Whole seconds with separators; below ten with a digit more."""
    if value is None:
        return MISSING
    return f"{value:,.1f}" if 0 < value < 10 and value != int(value) else f"{value:,.0f}"


def moment(value: datetime | None) -> str:
    """``2026-11-22 22:40 UTC``."""
    if value is None:
        return MISSING
    offset = value.strftime("%z")
    zone = "UTC" if offset in ("+0000", "") else f"{offset[:3]}:{offset[3:]}"
    return f"{value:%Y-%m-%d %H:%M} {zone}"


def plural(count: int, one: str) -> str:
    """``1 instance``, ``5 instances``."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}{'es' if one.endswith('s') else 's'}"
