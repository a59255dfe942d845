"""SVG elements as escaped markup, and the numbers in them"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Attribute = str | float | int | None


def element(name: str, attributes: dict[str, Attribute] | None = None, *children: str | Markup) -> Markup:
    """``<name ...>children</name>``; attributes of None are left out, and every text that is no Markup is escaped.

    Names of attributes are written as they stand (``stroke-width``, ``class``).
    """
    written = "".join(
        f' {key}="{escape(_text(value))}"' for key, value in (attributes or {}).items() if value is not None
    )
    if not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[str | Markup]) -> Markup:
    """The parts one after the other, each escaped unless it is markup."""
    return Markup("").join(parts)


def text(x: float, y: float, words: str, kind: str, anchor: str = "start", title: str = "") -> Markup:
    """Words at a place; ``kind`` is the class of the style sheet (tick, axis-title, label, note)."""
    children: list[str | Markup] = [words]
    if title and title != words:
        children.append(element("title", {}, title))
    return element("text", {"x": x, "y": y, "class": kind, "text-anchor": anchor}, *children)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def polyline(points: list[tuple[float, float]], kind: str) -> Markup:
    """A line through points."""
    return element("polyline", {"points": " ".join(f"{_text(x)},{_text(y)}" for x, y in points), "class": kind})


def picture(width: float, height: float, label: str, *children: str | Markup) -> Markup:
    """The ``<svg>`` itself: it scales with the page, and says what it shows to those who cannot see it."""
    attributes: dict[str, Attribute] = {
        "viewBox": f"0 0 {_text(width)} {_text(height)}",
        "role": "img",
        "aria-label": label,
        "class": "chart",
    }
    return element("svg", attributes, *children)


def _text(value: Attribute) -> str:
    # A tenth of a pixel is finer than any screen.
    if isinstance(value, float):
        return f"{value:.1f}".rstrip("0").rstrip(".")
    return str(value)
