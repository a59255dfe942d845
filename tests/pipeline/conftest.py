"""Real pictures, folders and reporters for the tests of the pipeline."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sagehound.pipeline.clients import Clients, connect_local
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import JsonReporter
from sagehound.pipeline.upload import StoredData, upload
from sagehound.settings import PipelineSettings
from tests.cloud_process import CloudProcess


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


def colours(folder: Path, per_class: dict[str, int]) -> Path:
    """Pictures that are easy to tell apart: one colour a class, with some noise."""
    for split, count in per_class.items():
        for label, colour in {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}.items():
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                chance = random.Random(f"{split}{label}{number}")
                shade = tuple(max(0, min(255, value + chance.randint(-25, 25))) for value in colour)
                Image.new("RGB", (48, 32), shade).save(place / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes that a head learns from 36 pictures."""
    return colours(tmp_path_factory.mktemp("colours"), {"train": 12, "valid": 4, "test": 4})


Uploaded = Callable[..., StoredData]


@pytest.fixture
def uploaded(clients: Clients, pictures: Path, recorded: Recorded, tmp_path: Path) -> Uploaded:
    """`uploaded(settings)`: the pictures (or those of a folder) lie in the bucket of that project."""

    def bring(settings: PipelineSettings, folder: Path = pictures) -> StoredData:
        manifest = take_in(str(folder), settings.data, tmp_path / "cache", recorded.reporter)
        with recorded.reporter.step("upload") as step:
            return upload(clients, Names.of(settings, clients.account_id), manifest, recorded.reporter, step)

    return bring


@pytest.fixture
def clients(cloud: CloudProcess) -> Clients:
    """Clients of the tests' local cloud, as the pipeline makes them from its data directory."""
    return connect_local(cloud.data_dir, cloud.region)


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> PipelineSettings:
    """Settings of a project of the test's own, so that tests may share one cloud."""
    project = f"t{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:10]}"
    return PipelineSettings(project=project, bucket=f"{project}-bucket", role_name=f"{project}-role")


@pytest.fixture
def names(settings: PipelineSettings, cloud: CloudProcess) -> Names:
    return Names.of(settings, cloud.account_id)
