"""Features are found once, kept by part, and the same however many hosts share the work."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sagehound.classifier import features
from sagehound.classifier.dataset import Picture, Split, read_split
from sagehound.classifier.distributed import Group
from sagehound.classifier.export import export_backbone
from sagehound.classifier.extractors import OnnxExtractor
from sagehound.classifier.features import FeatureSet, extract
from sagehound.classifier.gpu_features import GpuExtractor
from sagehound.classifier.network import create_backbone
from tests.classifier.pictures import CLASSES


class PowerCut(Exception):
    """What ends an extraction in the middle."""


@dataclass
class CountingExtractor:
    """Two numbers a picture, from its name; may fail after some parts."""

    identity: str = "counting"
    parts_left: int = 1000
    seen: list[str] = field(default_factory=list)

    def rows(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        if self.parts_left == 0:
            raise PowerCut
        self.parts_left -= 1
        self.seen += [picture.name for picture in pictures]
        return np.array([[len(p.name), p.label] for p in pictures], dtype=np.float32)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    for index in range(25):
        path = tmp_path / "data" / "ab"[index % 2] / f"{'x' * (index + 1)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([index]))
    return read_split("train", tmp_path / "data", ("a", "b"))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PART", 10)


@pytest.mark.usefixtures("small_parts")
def test_after_an_interruption_only_the_missing_parts_are_found(split: Split, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(PowerCut):
        extract(split, CountingExtractor(parts_left=2), Group(), tmp_path / "cache", lines.append)
    second = CountingExtractor()
    found = extract(split, second, Group(), tmp_path / "cache", lines.append)
    assert second.seen == [p.name for p in split.pictures[20:]]
    assert lines[-1] == "features of train: 20 of 25 pictures were already there"
    assert found.names == tuple(p.name for p in split.pictures)
    assert found.features[:, 0].tolist() == [len(name) for name in found.names]
    assert found.labels.tolist() == found.features[:, 1].tolist()


@pytest.mark.usefixtures("small_parts")
def test_another_backbone_or_another_picture_does_not_use_the_cache(split: Split, tmp_path: Path) -> None:
    extract(split, CountingExtractor(), Group(), tmp_path / "cache", print)
    other = CountingExtractor(identity="other")
    extract(split, other, Group(), tmp_path / "cache", print)
    assert len(other.seen) == 25
    split.pictures[3].path.write_bytes(b"another")
    again = CountingExtractor()
    extract(split, again, Group(), tmp_path / "cache", print)
    assert len(again.seen) == 25


@dataclass
class ThreadHosts:
    """Hosts as threads that meet at a barrier."""

    rank: int
    world: int
    barrier: Barrier
    box: dict[int, Any]

    def gather(self, value: Any) -> list[Any]:
        self.barrier.wait()
        self.box[self.rank] = value
        self.barrier.wait()
        return [self.box[rank] for rank in range(self.world)]


@pytest.mark.parametrize("sharded", [False, True], ids=["replicated", "sharded-by-key"])
def test_hosts_share_the_pictures_and_all_get_the_same_features(split: Split, sharded: bool) -> None:
    alone = extract(split, CountingExtractor(), Group(), None, print)
    barrier, box = Barrier(3), {}
    extractors = [CountingExtractor() for _ in range(3)]
    results: dict[int, FeatureSet] = {}

    def host(rank: int) -> None:
        mine = Split("train", split.pictures[rank::3]) if sharded else split
        results[rank] = extract(mine, extractors[rank], ThreadHosts(rank, 3, barrier, box), None, print)

    threads = [Thread(target=host, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(e.seen) for e in extractors) == [8, 8, 9]
    assert {r.fingerprint() for r in results.values()} == {alone.fingerprint()}


def test_both_runtimes_find_the_same_features(shapes: Path, tmp_path: Path) -> None:
    backbone = create_backbone("efficientnet_lite0")
    pictures = read_split("test", shapes / "test", CLASSES).pictures[:3]
    with_torch = GpuExtractor(backbone, Group().device).rows(pictures)
    export_backbone(backbone, tmp_path / "backbone.onnx")
    with_onnx = OnnxExtractor(backbone, tmp_path / "backbone.onnx", threads=2).rows(pictures)
    assert with_onnx.shape == (3, backbone.feature_count)
    np.testing.assert_allclose(with_onnx, with_torch, atol=1e-3)
