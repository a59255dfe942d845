"""Which folder holds which split: from the SM_CHANNEL_* variables of a training container, or from arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sagehound.classifier.channel_archive import is_feature_channel
from sagehound.classifier.dataset import BadDataset, split_folders

_SPLIT_CHANNELS = {
    "train": ("SM_CHANNEL_TRAIN",),
    "validation": ("SM_CHANNEL_VALID", "SM_CHANNEL_VALIDATION", "SM_CHANNEL_VAL"),
    "test": ("SM_CHANNEL_TEST",),
}


@dataclass(frozen=True)
class Channels:
    """Where the data are: either pictures by split, or features that an earlier job has extracted."""

    splits: Mapping[str, Path]
    """train, validation and, where there is one, test."""
    features: Path | None = None


def find_channels(environ: Mapping[str, str], training: str | None = None) -> Channels:
    """The channels of this job; `training`, a folder, goes before SM_CHANNEL_TRAINING.

    Raises BadDataset when the train or the validation split is missing.
    """
    whole = training or environ.get("SM_CHANNEL_TRAINING")
    prepared = environ.get("SM_CHANNEL_FEATURES")
    if prepared or (whole and is_feature_channel(Path(whole))):
        return Channels({}, Path(prepared or str(whole)))
    splits = split_folders(Path(whole)) if whole else {}
    if not training:
        for split, names in _SPLIT_CHANNELS.items():
            for name in names:
                if environ.get(name):
                    splits[split] = Path(environ[name])
    if "train" not in splits:
        raise BadDataset(
            "no pictures to train on: give a channel 'training' (a folder with train/, valid/ and test/), "
            "channels 'train', 'valid' and 'test', or --training FOLDER"
        )
    if "validation" not in splits:
        raise BadDataset(
            f"there is a train split ({splits['train']}) but no validation split: add a folder 'valid' beside it, "
            "or a channel 'valid'; accuracy on the training pictures says nothing"
        )
    for split, folder in splits.items():
        if not folder.is_dir():
            raise BadDataset(f"the {split} split {folder} is not a folder")
    return Channels(splits)
