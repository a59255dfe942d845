"""Where a job's features come from: pictures sent through the backbone now, or an earlier job's feature channel."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sagehound.classifier.arguments import Hyperparameters
from sagehound.classifier.channel_source import ChannelSource
from sagehound.classifier.channels import Channels
from sagehound.classifier.dataset import BadDataset, Split, class_names, read_split, union_of_classes
from sagehound.classifier.distributed import Group
from sagehound.classifier.export import export_backbone, probe, save_network
from sagehound.classifier.extractors import OnnxExtractor
from sagehound.classifier.feature_channel import BACKBONE_FILE, NETWORK_FILE
from sagehound.classifier.features import Extractor, FeatureSet, extract_views
from sagehound.classifier.gpu_features import GpuExtractor
from sagehound.classifier.headless import HeadlessNetwork
from sagehound.classifier.network import Backbone, Classifier, Head, create_backbone


class Source(Protocol):
    """Gives splits as features and, where there are pictures, as pictures."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    def features(self, split: str) -> FeatureSet | None:
        """The features of a split; None where the data have no such split. The same on every host."""

    def pictures(self, split: str) -> Split:
        """The pictures of a split. Raises BadDataset where there are none, or not the same on every host."""

    def headless(self) -> HeadlessNetwork:
        """The network as files that lack a trained head."""


class PictureSource:
    """Pictures in folders, sent through the frozen backbone when their features are asked for."""

    def __init__(
        self,
        channels: Channels,
        settings: Hyperparameters,
        group: Group,
        cache: Path | None,
        work: Path,
        say: Callable[[str], None],
    ) -> None:
        self._group = group
        self._say = say
        self._work = work
        self._views = max(settings.views, 1)
        self._cache = cache / "features" if cache else None
        self.classes = union_of_classes(group.gather(class_names(channels.splits["train"])))
        # Every split is read before the first picture is decoded: a wrong folder is told at once.
        self._splits = {name: read_split(name, folder, self.classes) for name, folder in channels.splits.items()}
        for split in self._splits.values():
            left_out = f" ({split.skipped} files that are no pictures were left out)" if split.skipped else ""
            say(f"{split.name}: {len(split.pictures)} pictures, {len(self.classes)} classes{left_out}")
        self._backbone_file = work / BACKBONE_FILE
        self.backbone: Backbone = create_backbone(settings.backbone)
        self._extractor = self._open_extractor(group)

    def _open_extractor(self, group: Group) -> Extractor:
        if group.device.type == "cuda":
            return GpuExtractor(self.backbone, group.device)
        export_backbone(self.backbone, self._backbone_file)
        return OnnxExtractor(self.backbone, self._backbone_file)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._splits)

    @property
    def identity(self) -> str:
        """Names the backbone's values, its preprocessing and what runs it."""
        return self._extractor.identity

    def features(self, split: str) -> FeatureSet | None:
        if split not in self._splits:
            return None
        views = self._views if split == "train" else 1
        return extract_views(self._splits[split], views, self._extractor, self._group, self._cache, self._say)

    def pictures(self, split: str) -> Split:
        pictures = self._splits[split]
        listings = self._group.gather([p.name for p in pictures.pictures])
        if any(listing != listings[0] for listing in listings):
            raise BadDataset(
                f"the hosts have different pictures in the {split} split: gear network needs the channel "
                "FullyReplicated; gear head trains on a channel that is ShardedByS3Key too"
            )
        return pictures

    def headless(self) -> HeadlessNetwork:
        if not self._backbone_file.exists():
            export_backbone(self.backbone, self._backbone_file)
        network_file = self._work / NETWORK_FILE
        head = Head(self.backbone.feature_count, len(self.classes))
        save_network(Classifier(self.backbone, head), self.classes, network_file)
        features = probe(self.backbone, self.backbone.preprocessing)
        return HeadlessNetwork(self._backbone_file, network_file, features)


def open_source(
    channels: Channels,
    settings: Hyperparameters,
    group: Group,
    cache: Path | None,
    work: Path,
    say: Callable[[str], None],
) -> Source:
    """The source that the channels call for."""
    if channels.features is not None:
        return ChannelSource(channels.features, settings.backbone, settings.views, work, say)
    return PictureSource(channels, settings, group, cache, work, say)
