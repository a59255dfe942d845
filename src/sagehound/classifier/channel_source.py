"""Features that an earlier job has extracted, as the source of a training. Imports no torch."""

from collections.abc import Callable
from pathlib import Path

from sagehound.classifier.channel_archive import open_feature_channel
from sagehound.classifier.dataset import BadDataset, Split
from sagehound.classifier.feature_channel import BACKBONE_FILE, NETWORK_FILE
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.headless import HeadlessNetwork


class ChannelSource:
    """Gives the splits of a feature channel."""

    def __init__(self, folder: Path, backbone: str, views: int, work: Path, say: Callable[[str], None]) -> None:
        self._channel = open_feature_channel(folder, work, backbone)
        self._views = views
        header = self._channel.header
        self.classes = header.classes
        taken = views or header.views
        say(f"features of {header.backbone}, {len(self.classes)} classes, {taken} of {header.views} view(s) a picture")

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that the channel has."""
        return tuple(self._channel.header.pictures)

    def features(self, split: str) -> FeatureSet | None:
        """The features of a split; None where the channel has no such split. Raises BadDataset."""
        return self._channel.read(split, self._views if split == "train" else 0)

    def pictures(self, split: str) -> Split:
        """Raises BadDataset: there are none."""
        raise BadDataset("gear network needs pictures, and this channel holds features: use gear head")

    def headless(self) -> HeadlessNetwork:
        """The network with an untrained head. Raises BadDataset."""
        channel = self._channel
        return HeadlessNetwork(channel.file(BACKBONE_FILE), channel.file(NETWORK_FILE), channel.probe())
