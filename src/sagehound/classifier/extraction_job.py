"""A job that turns pictures into a feature channel: each split through the frozen backbone once."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sagehound.classifier.arguments import Arguments
from sagehound.classifier.channels import find_channels
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.distributed import join
from sagehound.classifier.feature_channel import BACKBONE_FILE, NETWORK_FILE, PROBE_FILE, write_header, write_split
from sagehound.classifier.linear_head import LinearHead
from sagehound.classifier.outcome import folder_of_checkpoints, say
from sagehound.classifier.source import PictureSource


def extract_features(arguments: Arguments, environ: Mapping[str, str]) -> None:
    """Write all splits as a feature channel into the model folder. Raises BadDataset."""
    with join(environ) as group, tempfile.TemporaryDirectory(prefix="sagehound-features-") as work:
        settings, channel = arguments.hyperparameters, arguments.model_dir
        folder = folder_of_checkpoints(arguments.checkpoint_dir, say)
        channels = find_channels(environ, arguments.training)
        if channels.features is not None:
            raise BadDataset(f"{channels.features} holds features already: give the pictures as channel 'training'")
        source = PictureSource(channels, settings, group, folder, Path(work), say)
        splits = {split: source.features(split) for split in channels.splits}
        if not group.is_main:
            return
        channel.mkdir(parents=True, exist_ok=True)
        found = {split: features for split, features in splits.items() if features is not None}
        for split, features in found.items():
            write_split(channel, split, features)
        headless = source.headless()
        # An artefact is made on trial and checked, so that trials need not learn what is wrong with the network.
        head = LinearHead.untrained(found["validation"].features, len(source.classes))
        head.weight[:] = np.random.default_rng(0).normal(0, 0.05, head.weight.shape)
        headless.complete(head, Path(work) / "on-trial")
        (channel / BACKBONE_FILE).write_bytes(headless.backbone_file.read_bytes())
        (channel / NETWORK_FILE).write_bytes(headless.network_file.read_bytes())
        np.save(channel / PROBE_FILE, headless.probe)
        backbone = source.backbone
        write_header(
            channel,
            backbone=backbone.name,
            weights=backbone.weights or source.identity,
            preprocessing=backbone.preprocessing,
            classes=source.classes,
            splits=found,
        )
        say(f"the feature channel is in {channel}")
