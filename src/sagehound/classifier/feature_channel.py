"""A channel of features in place of pictures: what extract_features.py writes and a tuning trial reads.

For each split SPLIT.npy (features [views, pictures, feature_count]), SPLIT-labels.npy and SPLIT-names.json; the frozen
backbone as backbone.onnx, the whole network with an untrained head as network.pth, and what the backbone makes of known
pixels as probe.npy. features.json is written last and says what they are, with the hash of each file. Imports no torch.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.backbones import file_hash, known_preprocessing, known_weights
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.preprocessing import Preprocessing

HEADER = "features.json"
BACKBONE_FILE = "backbone.onnx"
NETWORK_FILE = "network.pth"
PROBE_FILE = "probe.npy"
FORMAT = 2


@dataclass(frozen=True)
class Header:
    """What a feature channel says about itself."""

    backbone: str
    weights: str
    """SHA-256 of the backbone's published weights, or of all its values where they have no file of their own."""
    preprocessing: dict[str, Any]
    classes: tuple[str, ...]
    views: int
    """Views of each training picture."""
    pictures: dict[str, int]
    """Pictures by split."""
    files: dict[str, str]
    """SHA-256 by name."""
    format: int = FORMAT

    def fingerprint(self) -> str:
        """A hash over all of it, file hashes included: it names the whole channel."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def write_split(folder: Path, split: str, features: FeatureSet) -> None:
    """Put the features of a split into the folder of a channel."""
    views = np.stack([features.features, *features.other_views])
    if not np.isfinite(views).all():
        raise BadDataset(
            f"the backbone gives features of the {split} split that are no numbers: its weights are broken"
        )
    np.save(folder / f"{split}.npy", views)
    np.save(folder / f"{split}-labels.npy", features.labels)
    (folder / f"{split}-names.json").write_text(json.dumps(features.names, ensure_ascii=False), encoding="utf-8")


def write_header(
    folder: Path,
    *,
    backbone: str,
    weights: str,
    preprocessing: Preprocessing,
    classes: Sequence[str],
    splits: dict[str, FeatureSet],
) -> None:
    """Say what the folder holds, after all else: a folder with a header is complete."""
    files = {path.name: file_hash(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != HEADER}
    header = Header(
        backbone=backbone,
        weights=weights,
        preprocessing=asdict(preprocessing),
        classes=tuple(classes),
        views=splits["train"].views,
        pictures={split: len(features.names) for split, features in splits.items()},
        files=files,
    )
    content = {**asdict(header), "fingerprint": header.fingerprint()}
    (folder / HEADER).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def read_header(path: Path) -> Header:
    """The header of a channel. Raises BadDataset where it is damaged or of another format."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise BadDataset(f"{path} has format {content.get('format')}, not {FORMAT}: {_AGAIN}")
        fingerprint = content.pop("fingerprint")
        header = Header(**{**content, "classes": tuple(content["classes"])})
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise BadDataset(f"{path} is damaged ({type(error).__name__}: {error}): {_AGAIN}") from error
    if header.fingerprint() != fingerprint:
        raise BadDataset(f"{path} was changed after it was written: {_AGAIN}")
    return header


_AGAIN = "run extract_features.py again"


@dataclass(frozen=True)
class FeatureChannel:
    """An opened feature channel: a file of it is checked when it is asked for."""

    folder: Path
    header: Header

    def file(self, name: str) -> Path:
        """A file of the channel, after a look at its hash. Raises BadDataset where it is damaged or missing."""
        path = self.folder / name
        if name not in self.header.files or not path.is_file():
            raise BadDataset(f"the feature channel {self.folder} lacks {name}: {_AGAIN}")
        if file_hash(path) != self.header.files[name]:
            raise BadDataset(f"{path} is damaged, or of another channel (its hash is not the header's): {_AGAIN}")
        return path

    def read(self, split: str, views: int = 0) -> FeatureSet | None:
        """The features of a split, memory-mapped; None where the channel has no such split.

        `views` limits how many views of a training picture are taken; 0 takes all. Raises BadDataset.
        """
        if split not in self.header.pictures:
            return None
        features = self._array(f"{split}.npy", 3)
        labels = self._array(f"{split}-labels.npy", 1)
        names = json.loads(self.file(f"{split}-names.json").read_text(encoding="utf-8"))
        count = self.header.pictures[split]
        if features.shape[1] != count or labels.shape != (count,) or len(names) != count:
            raise BadDataset(f"the {split} split of {self.folder} has not the {count} pictures of its header: {_AGAIN}")
        if views > len(features):
            raise BadDataset(
                f"the feature channel has {len(features)} view(s) of a picture and --views is {views}: "
                f"extract them with --views {views}, or leave --views out to take those that there are"
            )
        others = features[1 : views or None]
        return FeatureSet(tuple(names), labels, features[0], tuple(others))

    def probe(self) -> NDArray[np.float32]:
        """What the backbone makes of onnx_graph.probe_pixels: [pictures, feature_count]."""
        return self._array(PROBE_FILE, 2)

    def _array(self, name: str, dimensions: int) -> NDArray[Any]:
        # Copy on write: pages are shared with other trials as long as nobody changes them.
        array: NDArray[Any] = np.asarray(np.load(self.file(name), mmap_mode="c", allow_pickle=False))
        if array.ndim != dimensions:
            raise BadDataset(f"{self.folder / name} has {array.ndim} dimensions, not {dimensions}: {_AGAIN}")
        return array


def check_belongs(header: Header, folder: Path, backbone: str) -> None:
    """Refuse a channel of another backbone, of other weights of it, or of other preprocessing. Raises BadDataset."""
    if header.backbone != backbone:
        raise BadDataset(
            f"{folder} holds features of {header.backbone}, and this job is for {backbone}: "
            f"give --backbone {header.backbone}, or extract the features of {backbone}"
        )
    wanted = known_preprocessing(backbone)
    if wanted is not None and asdict(wanted) != header.preprocessing:
        raise BadDataset(
            f"{folder} is stale: its pictures were prepared with {json.dumps(header.preprocessing)}, "
            f"and {backbone} takes {json.dumps(asdict(wanted))} now: {_AGAIN}"
        )
    weights = known_weights(backbone)
    if weights is not None and weights != header.weights:
        raise BadDataset(
            f"{folder} is stale: it was made with other weights of {backbone} than those installed here "
            f"({header.weights[:12]} and {weights[:12]}): {_AGAIN}"
        )
