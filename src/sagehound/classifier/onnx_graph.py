"""The ONNX side of the network: names, sessions, and what a file says about itself. Imports no torch."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.preprocessing import Preprocessing

INPUT = "pixels"
"""float32 [batch, 3, size, size] in 0..255"""
FEATURES = "features"
"""float32 [batch, feature_count]"""
LOGITS = "logits"
"""float32 [batch, classes]"""
PREPROCESSING_KEY = "sagehound.preprocessing"


def open_session(model: bytes | Path) -> Any:
    """An onnxruntime session of one thread on the CPU; its `run` may be called from many threads at once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def read_preprocessing(session: Any) -> Preprocessing:
    """How the file wants its pictures. Raises ValueError when the file does not say."""
    metadata = session.get_modelmeta().custom_metadata_map
    if PREPROCESSING_KEY not in metadata:
        raise ValueError(
            f"the ONNX file has no {PREPROCESSING_KEY!r} in its metadata: it was not written by this classifier"
        )
    return Preprocessing.from_json(metadata[PREPROCESSING_KEY])


def probe_pixels(preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Three pictures of noise, always the same, on which two forms of a network are compared."""
    size = preprocessing.size
    return np.random.default_rng(0).uniform(0, 255, (3, 3, size, size)).astype(np.float32)


def run_probe(session: Any, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a file gives for the pictures: one alone, then the others together, so that both ways are tried."""
    return np.concatenate([session.run(None, {INPUT: part})[0] for part in (pixels[:1], pixels[1:])])
