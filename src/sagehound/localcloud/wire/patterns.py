"""The regular expressions of AWS's models, which are Java's, as Python's."""

from __future__ import annotations

import functools
import re
import warnings

_CLASSES = {
    # Python's re has no Unicode categories: each becomes a superset, so nothing that AWS takes is refused.
    "L": r"\w",
    "Ll": r"\w",
    "Lu": r"\w",
    "N": r"\w",
    "Nd": r"\d",
    "M": "\\w\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff\ufe00-\ufe2f",
    "Z": r"\s",
    "Zs": r"\s",
    "Space": r"\s",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "ASCII": r"\x00-\x7f",
    "Print": r"\x20-\x7e",
    "Graph": r"\x21-\x7e",
    "IsLatin": r"\w",
    "IsDigit": r"\d",
    "IsAlphabetic": r"\w",
}
_CATEGORY = re.compile(r"\\p\{(\w+)\}|\\p([LNMZ])(?!\{)")
_CODE_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_HYPHEN = re.compile(r"(\\[wsd])-(?!\])")
"""`[\\w-_]`: to Java a hyphen, to Python a range without a start."""
_SURROGATES = re.compile(r"\\u[dD]800\\u[dD][cC]00-\\u[dD][bB][fF][fF]\\u[dD][fF][fF][fF]")


@functools.lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """`pattern` for `fullmatch`, or None when it uses what Python cannot express: such a member is not checked."""
    text = _SURROGATES.sub(lambda _: r"\U00010000-\U0010ffff", pattern)
    text = _HYPHEN.sub(r"\1\\-", text).replace(r"\z", r"\Z")
    text = _CODE_POINT.sub(lambda match: f"\\U{int(match[1], 16):08x}", text)
    unknown = False

    def category(match: re.Match[str]) -> str:
        nonlocal unknown
        members = _CLASSES.get(match[1] or match[2])
        if members is None:
            unknown = True
            return ""
        return members if _in_class(text, match.start()) else f"[{members}]"

    text = _CATEGORY.sub(category, text)
    if unknown or r"\P{" in text or "&&" in text:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return re.compile(text)
    except (re.error, FutureWarning, OverflowError):
        return None


def _in_class(text: str, at: int) -> bool:
    """Whether position `at` lies between square brackets."""
    inside = escaped = False
    for character in text[:at]:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "[":
            inside = True
        elif character == "]":
            inside = False
    return inside
