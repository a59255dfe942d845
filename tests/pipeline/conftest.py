"""Real pictures, folders and reporters for the tests of the pipeline."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sagehound.pipeline.progress import JsonReporter


class Recorded:
    """A JSON reporter whose lines can be read back."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.reporter = JsonReporter(self.out)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.out.getvalue().splitlines()) if line["event"] == event]

    def notes(self) -> list[str]:
        return [line["text"] for line in self.events("note")]

    def steps(self) -> dict[str, dict[str, Any]]:
        return {line["step"]: line for line in self.events("step") if line["status"] == "done"}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def picture_bytes(seed: int, kind: str = "PNG", size: tuple[int, int] = (24, 16)) -> bytes:
    """A picture of coloured noise: another seed gives other pixels."""
    noise = random.Random(seed).randbytes(size[0] * size[1] * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(out, kind)
    return out.getvalue()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return picture_bytes


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[dict[str, int | bytes]], Path]:
    """`make_folder({"train/cat": 6, "train/cat/x.png": b"..."})`: that many different pictures, or a file."""
    counter = iter(range(10**6))

    def make(content: dict[str, int | bytes], name: str = "pictures") -> Path:
        root = tmp_path / name
        for place, what in content.items():
            if isinstance(what, bytes):
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                (root / place).write_bytes(what)
                continue
            (root / place).mkdir(parents=True, exist_ok=True)
            for number in range(what):
                (root / place / f"{number:03}.png").write_bytes(picture_bytes(next(counter)))
        return root

    return make
