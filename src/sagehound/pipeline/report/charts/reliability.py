"""The reliability diagram: how often the model is right where it says that it is so sure"""

from __future__ import annotations

from markupsafe import Markup

from sagehound.pipeline.report.charts.frame import Frame
from sagehound.pipeline.report.charts.scales import Linear
from sagehound.pipeline.report.charts.svg import element, line, picture, text
from sagehound.pipeline.report.documents import Bin
from sagehound.pipeline.report.words import percent

_HISTOGRAM = 54.0


def draw_reliability(bins: list[Bin], ece: float | None) -> Markup:
    """Accuracy over confidence by bin, against the diagonal of honest probabilities; below, how many pictures each has.

    What lies between a bin's accuracy and its mean confidence is overconfidence where it is missing, else caution
    (Guo et al. 2017, figure 1).
    """
    frame = Frame(height=390.0)
    x = Linear(0.0, 1.0, frame.left, frame.x_end, percent=True)
    low = frame.y_end - _HISTOGRAM - 22
    y = Linear(0.0, 1.0, low, frame.top, percent=True)
    upper = Frame(frame.width, frame.height, frame.left, frame.right, frame.top, frame.height - low)
    parts = [upper.axes(_Unmarked(), y, "")]
    most = max((entry.pictures for entry in bins), default=0)
    for entry in bins:
        if not entry.pictures:
            continue
        tip = (
            f"{percent(entry.low, 0)} to {percent(entry.high, 0)} sure: {entry.pictures} pictures, "
            f"{percent(entry.confidence)} sure on average, {percent(entry.accuracy)} right"
        )
        parts.append(_bars(entry, x, y, frame, most, tip))
    parts.append(line(x.place(0), y.place(0), x.place(1), y.place(1), "chance"))
    parts.append(line(frame.left, frame.y_end, frame.x_end, frame.y_end, "axis"))
    for place, words in x.ticks():
        parts.append(line(place, frame.y_end, place, frame.y_end + 4, "axis"))
        parts.append(text(place, frame.y_end + 17, words, "tick", "middle"))
    parts.append(
        text((frame.left + frame.x_end) / 2, frame.height - 6, "how sure the model is", "axis-title", "middle")
    )
    parts.append(text(frame.left + 8, frame.top + 12, "right in fact", "axis-title"))
    parts.append(text(frame.left + 8, low + 18, f"pictures (most: {most})", "note"))
    label = "reliability diagram" + ("" if ece is None else f", expected calibration error {ece:.3f}")
    return picture(frame.width, frame.height, label, *parts)


def _bars(entry: Bin, x: Linear, y: Linear, frame: Frame, most: int, tip: str) -> Markup:
    left, right = x.place(entry.low) + 1, x.place(entry.high) - 1
    top, sure, base = y.place(entry.accuracy), y.place(entry.confidence), y.place(0)
    lower, upper = max(top, sure), min(top, sure)
    kind = "missing" if entry.confidence > entry.accuracy else "more"
    tall = max(1.5, (_HISTOGRAM - 14) * entry.pictures / most)
    width = max(right - left, 1.0)
    shown = [
        element("rect", {"x": left, "y": lower, "width": width, "height": base - lower, "class": "accuracy"}),
        element("rect", {"x": left, "y": upper, "width": width, "height": lower - upper, "class": kind}),
        element("rect", {"x": left, "y": frame.y_end - tall, "width": width, "height": tall, "class": "amount"}),
        element(
            "rect",
            {"x": left, "y": frame.top, "width": width, "height": frame.y_end - frame.top, "class": "felt"},
        ),
    ]
    return element("g", {"class": "point"}, element("title", {}, tip), *shown)


class _Unmarked:
    """An axis without marks: those below the histogram serve both parts."""

    def place(self, value: float) -> float:
        """Nothing is placed on it."""
        return value

    def ticks(self) -> list[tuple[float, str]]:
        """None."""
        return []
