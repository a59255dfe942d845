"""What the write-up's notebooks and scripts find in public places: the pictures, a dog to ask about, weights."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from PIL import Image

from tests.clients.scenarios import command
from tests.cloud_process import CloudProcess
from tests.conftest import REAL_PICTURES

PICTURES = "udacity-aind/dog-project/dogImages.zip"
DOG = "cdn-origin-etr.akc.org/wp-content/uploads/2017/11/20113314/Carolina-Dog-standing-outdoors.jpg"
SAMPLE = Path(__file__).parents[2] / "src/sagehound/sample/pictures"
BREEDS = 4
COUNTS = {"train": 8, "valid": 2, "test": 3}
"""Pictures of each breed."""
_SIDE = 96
_WEIGHTS = """
import sys, warnings
import torch
try:
    import torchvision
except RuntimeError:  # built for another torch: the operators that its models do not need are only declared
    operators = torch.library.Library("torchvision", "DEF")
    operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision
torch.manual_seed(0)
for name in sys.argv[2:]:
    address = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
    torch.save(torchvision.models.get_model(name).state_dict(), f"{sys.argv[1]}/{address.rpartition('/')[2]}")
"""


def pictures(folder: Path) -> Path:
    """A dogImages.zip with a few pictures of a few breeds: real ones where they are, the packaged sample elsewhere."""
    source = Path(os.environ.get("SAGEHOUND_TEST_PICTURES", REAL_PICTURES))
    source = source if source.is_dir() else SAMPLE
    packed = folder / "dogImages.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for split, count in COUNTS.items():
            for breed in sorted((source / split).iterdir())[:BREEDS]:
                for picture in sorted(breed.iterdir())[:count]:
                    small = folder / "small.jpg"
                    _shrink(picture, small)
                    archive.write(small, f"dogImages/{split}/{breed.name}/{picture.stem}.jpg")
    return packed


def a_dog(folder: Path) -> Path:
    """The picture that the write-up's test event names."""
    source = Path(os.environ.get("SAGEHOUND_TEST_PICTURES", REAL_PICTURES))
    source = source if source.is_dir() else SAMPLE
    breed = sorted((source / "test").iterdir())[-1]
    _shrink(sorted(breed.iterdir())[-1], folder / "dog.jpg")
    return folder / "dog.jpg"


def random_weights(folder: Path, *models: str) -> list[Path]:
    """Files by the names of torchvision's pretrained weights, of the right shapes; nobody has trained them."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", _WEIGHTS, str(folder), *models], check=True)
    return sorted(folder.glob("*.pth"))


def give(cloud: CloudProcess, folder: Path, *models: str) -> None:
    """Put it all where people find it, with the commands that people use."""
    seeds = [f"{PICTURES}={pictures(folder)}", f"{DOG}={a_dog(folder)}"]
    _sagehound(cloud, "seed", *seeds)
    _sagehound(cloud, "weights", "add", *map(str, random_weights(folder / "weights", *models)))


def _sagehound(cloud: CloudProcess, *words: str) -> None:
    sagehound = command(cloud, [])[0]
    subprocess.run([sagehound, *words, "--data-dir", str(cloud.data_dir)], check=True)


def _shrink(source: Path, target: Path) -> None:
    with Image.open(source) as picture:
        picture.convert("RGB").resize((_SIDE, _SIDE)).save(target, "JPEG")
