"""Where a job's features come from: pictures sent through the backbone now, or an earlier job's feature channel."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sagehound.classifier.channels import Channels
from sagehound.classifier.dataset import BadDataset, Split, class_names, read_split, union_of_classes
from sagehound.classifier.distributed import Group
from sagehound.classifier.export import export_backbone
from sagehound.classifier.extractors import OnnxExtractor, TorchExtractor
from sagehound.classifier.feature_channel import BACKBONE_FILE, open_feature_channel
from sagehound.classifier.features import Extractor, FeatureSet, extract
from sagehound.classifier.network import create_backbone


class Source(Protocol):
    """Gives splits as features and, where there are pictures, as pictures."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def backbone_file(self) -> Path:
        """The frozen backbone as ONNX."""

    def features(self, split: str) -> FeatureSet | None:
        """The features of a split; None where the data have no such split. The same on every host."""

    def pictures(self, split: str) -> Split:
        """The pictures of a split. Raises BadDataset where there are none, or not the same on every host."""


class PictureSource:
    """Pictures in folders, sent through the frozen backbone when their features are asked for."""

    def __init__(
        self,
        channels: Channels,
        backbone: str,
        group: Group,
        cache: Path | None,
        work: Path,
        say: Callable[[str], None],
    ) -> None:
        self._group = group
        self._say = say
        self._cache = cache / "features" if cache else None
        self.classes = union_of_classes(group.gather(class_names(channels.splits["train"])))
        # Every split is read before the first picture is decoded: a wrong folder is told at once.
        self._splits = {name: read_split(name, folder, self.classes) for name, folder in channels.splits.items()}
        for split in self._splits.values():
            left_out = f" ({split.skipped} files that are no pictures were left out)" if split.skipped else ""
            say(f"{split.name}: {len(split.pictures)} pictures, {len(self.classes)} classes{left_out}")
        self.backbone_file = work / BACKBONE_FILE
        network = create_backbone(backbone)
        export_backbone(network, self.backbone_file)
        self._extractor: Extractor = (
            TorchExtractor(network, group.device)
            if group.device.type == "cuda"
            else OnnxExtractor(network, self.backbone_file)
        )

    def features(self, split: str) -> FeatureSet | None:
        if split not in self._splits:
            return None
        return extract(self._splits[split], self._extractor, self._group, self._cache, self._say)

    def pictures(self, split: str) -> Split:
        pictures = self._splits[split]
        listings = self._group.gather([p.name for p in pictures.pictures])
        if any(listing != listings[0] for listing in listings):
            raise BadDataset(
                f"the hosts have different pictures in the {split} split: gear network needs the channel "
                "FullyReplicated; gear head trains on a channel that is ShardedByS3Key too"
            )
        return pictures


class FeatureChannelSource:
    """Features that extract_features.py has written."""

    def __init__(self, folder: Path, backbone: str, work: Path, say: Callable[[str], None]) -> None:
        self._channel = open_feature_channel(folder, work)
        if self._channel.backbone != backbone:
            raise BadDataset(f"the features are {self._channel.backbone}'s: give --backbone {self._channel.backbone}")
        self.classes = self._channel.classes
        self.backbone_file = self._channel.backbone_file
        say(f"features of {self._channel.backbone}, {len(self.classes)} classes")

    def features(self, split: str) -> FeatureSet | None:
        return self._channel.read(split)

    def pictures(self, split: str) -> Split:
        raise BadDataset("gear network needs pictures, and this channel holds features: use gear head")


def open_source(
    channels: Channels, backbone: str, group: Group, cache: Path | None, work: Path, say: Callable[[str], None]
) -> Source:
    """The source that the channels call for."""
    if channels.features is not None:
        return FeatureChannelSource(channels.features, backbone, work, say)
    return PictureSource(channels, backbone, group, cache, work, say)
