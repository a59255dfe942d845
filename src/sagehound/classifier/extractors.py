"""A frozen backbone on a CPU, run by onnxruntime; gpu_features.py does it on a GPU"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier import onnx_graph
from sagehound.classifier.augment import fixed_view
from sagehound.classifier.dataset import Picture
from sagehound.classifier.network import Backbone
from sagehound.classifier.preprocessing import Preprocessing, open_picture


def usable_cores() -> int:
    """The cores that this process may use, at least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_pixels(picture: Picture, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Float32 pixels [3, size, size] in 0..255 of the picture's view. Raises UnreadablePicture naming the file."""
    with open_picture(picture.path) as opened:
        return fixed_view(opened, preprocessing, picture.name, picture.view)


def identity_of(backbone: Backbone, runtime: str) -> str:
    """Names the features that `backbone` gives under `runtime`: weights, preprocessing and runtime."""
    digest = hashlib.blake2b(backbone.preprocessing.to_json().encode(), digest_size=16)
    for name, value in backbone.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return f"{runtime}-{digest.hexdigest()}"


class OnnxExtractor:
    """Runs an exported backbone on all cores, one picture a thread at a time.

    One session of one intra-op thread, called from as many threads as there are cores, is faster than one session of
    many threads, and batches gain nothing on a CPU.
    """

    def __init__(self, backbone: Backbone, backbone_file: Path, threads: int | None = None) -> None:
        self._session = onnx_graph.open_session(backbone_file)
        self._preprocessing = onnx_graph.read_preprocessing(self._session)
        self._threads = threads or usable_cores()
        self.identity = identity_of(backbone, "onnxruntime")

    def rows(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        with ThreadPoolExecutor(self._threads, "features") as pool:
            return np.stack(list(pool.map(self._row, pictures)))

    def _row(self, picture: Picture) -> NDArray[np.float32]:
        pixels = load_pixels(picture, self._preprocessing)[None]
        features: NDArray[np.float32] = self._session.run(None, {onnx_graph.INPUT: pixels})[0][0]
        return features
