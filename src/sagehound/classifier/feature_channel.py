"""A channel of features in place of pictures: what extract_features.py writes and a tuning trial reads.

train.npz, validation.npz, test.npz (features, labels, names), backbone.onnx, and features.json that says
what they are.
"""

import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.features import FeatureSet

MANIFEST = "features.json"
BACKBONE_FILE = "backbone.onnx"
ARCHIVE = "model.tar.gz"
FORMAT = 1


@dataclass(frozen=True)
class FeatureChannel:
    """An opened feature channel."""

    folder: Path
    backbone: str
    classes: tuple[str, ...]

    @property
    def backbone_file(self) -> Path:
        return self.folder / BACKBONE_FILE

    def read(self, split: str) -> FeatureSet | None:
        """The features of a split, or None where the channel has no such split."""
        path = self.folder / f"{split}.npz"
        return FeatureSet.load(path) if path.exists() else None

    def write_manifest(self) -> None:
        """Say what the folder holds; written last, so a folder with a manifest is complete."""
        content = {"format": FORMAT, "backbone": self.backbone, "classes": list(self.classes)}
        (self.folder / MANIFEST).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def is_feature_channel(folder: Path) -> bool:
    """Whether a channel holds features: their manifest, or the artefact of the job that made them."""
    if (folder / MANIFEST).is_file():
        return True
    archive = _archive(folder)
    if archive is None:
        return False
    with tarfile.open(archive) as tar:
        return MANIFEST in _plain_names(tar.getnames())


def open_feature_channel(folder: Path, work: Path) -> FeatureChannel:
    """Open a feature channel; the artefact of an extraction job is unpacked into `work`.

    Raises BadDataset when it is none, or of another format.
    """
    if not (folder / MANIFEST).is_file():
        archive = _archive(folder)
        if archive is None:
            raise BadDataset(f"{folder} holds neither {MANIFEST} nor a {ARCHIVE} that does: run extract_features.py")
        folder = work / "feature-channel"
        _unpack(archive, folder)
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise BadDataset(f"{folder / MANIFEST} has format {content.get('format')}, not {FORMAT}: extract them again")
    return FeatureChannel(folder, content["backbone"], tuple(content["classes"]))


def _unpack(archive: Path, folder: Path) -> None:
    """The files at the top of the archive: a feature channel has no others, and no name among them leaves `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            name, content = member.name.removeprefix("./"), tar.extractfile(member) if member.isfile() else None
            if content is not None and name == Path(name).name:
                with (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)


def _archive(folder: Path) -> Path | None:
    """The one artefact in a channel, also below the folders of an output prefix (JOB/output/model.tar.gz)."""
    found = sorted(folder.rglob(ARCHIVE)) if folder.is_dir() else []
    return found[0] if len(found) == 1 else None


def _plain_names(names: Sequence[str]) -> list[str]:
    return [name.removeprefix("./") for name in names]
