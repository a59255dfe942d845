"""What the tests of the report share: jobs of a real cloud that leave output, hostile names, a strict HTML reader."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from typing import Any

from PIL import Image

from tests.cloud.tuning import TuningWorkshop

CLASSES = ["001.<script>alert(1)<", '002.Tom & "Jerry\'s"', "003.</script><blink>"]
"""What a folder may be called on Linux: nothing of it may become markup."""
NAMES = [f"{label}/{number}.png" for label in ("001.a", "002.b", "003.c") for number in range(4)]
LABELS = [0] * 4 + [1] * 4 + [2] * 4
TOP = [[0, 1, 2], [1, 0, 2], [1, 2, 0], [0, 2, 1], *[[1, 0, 2]] * 4, [2, 0, 1], [2, 1, 0], [0, 2, 1], [2, 1, 0]]
ODDS = [0.7, 0.2, 0.1]
LEAVE = (
    "import json, os, pathlib, sys\n"
    "source, out = pathlib.Path(__file__).parent, pathlib.Path(os.environ['SM_OUTPUT_DATA_DIR'])\n"
    "for name in ('metrics.json', 'predictions.json'):\n"
    "    if (source / name).exists(): (out / name).write_bytes((source / name).read_bytes())\n"
    "print('train:loss=1.000000 train:accuracy=0.500000', flush=True)\n"
)
"""A training job's script that leaves the files that came with it."""


def predictions(split: str = "test") -> dict[str, Any]:
    """predictions.json over twelve pictures of three classes, three of them wrong."""
    return {
        "classes": CLASSES,
        "split": split,
        "names": NAMES,
        "labels": LABELS,
        "top": TOP,
        "probabilities": [ODDS for _ in NAMES],
        "label_probability": [ODDS[row.index(label)] for row, label in zip(TOP, LABELS, strict=True)],
    }


def split_figures() -> dict[str, Any]:
    """The figures that follow from `predictions`."""
    counts = [[0] * 3 for _ in range(3)]
    for label, row in zip(LABELS, TOP, strict=True):
        counts[label][row[0]] += 1
    right = sum(counts[index][index] for index in range(3))
    return {
        "pictures": len(NAMES),
        "loss": 0.61,
        "accuracy": right / len(NAMES),
        "top5": 1.0,
        "confusion": counts,
        "per_class": [
            {
                "class": name,
                "pictures": 4,
                "right": counts[index][index],
                "recall": counts[index][index] / 4,
                "precision": 0.5,
                "most_confused_with": CLASSES[(index + 1) % 3],
            }
            for index, name in enumerate(CLASSES)
        ],
        "calibration": {
            "ece": 0.05,
            "bins": [{"low": 0.6, "high": 0.7333, "pictures": 12, "confidence": 0.7, "accuracy": right / 12}],
        },
    }


def metrics(*splits: str, hosts: int = 1) -> dict[str, Any]:
    """metrics.json with a history of three epochs."""
    history = [
        {"train:loss": 1.1 / epoch, "train:accuracy": 0.3 * epoch, "validation:loss": 1.0 / epoch}
        for epoch in (1, 2, 3)
    ]
    return {
        "hyperparameters": {"learning_rate": 0.01},
        "hosts": hosts,
        "classes": 3,
        "history": history,
        **{split: split_figures() for split in splits},
    }


def picture(colour: tuple[int, int, int]) -> bytes:
    """A picture of one colour, with transparency as some have."""
    out = io.BytesIO()
    Image.new("RGBA", (300, 200), (*colour, 255)).save(out, "PNG")
    return out.getvalue()


class ReportShop(TuningWorkshop):
    """A workshop whose jobs leave output for the report."""

    def leave(self, *, script: str = LEAVE, count: int = 1, **files: Any) -> str:
        """Run a job that leaves `metrics` and `predictions` (documents or text); its name."""
        written = {
            f"{name}.json": content if isinstance(content, str) else json.dumps(content)
            for name, content in files.items()
        }
        job = self.run(script, files=written, count=count)
        return str(job["TrainingJobName"])


class Strict(HTMLParser):
    """A page read strictly: every element is closed in order; its text, attributes and elements are kept."""

    VOID = {"meta", "img", "input", "br", "link", "hr"}

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that a person reads, with single spaces."""
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> list[str]:
        """Every id."""
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]


def references(page: Strict) -> list[str]:
    """Everything that the page would fetch, data URIs aside."""
    return [
        value
        for _, attributes in page.elements
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data")
        if (value := attributes.get(name)) and not value.startswith("data:")
    ]
