"""The artefact of a training without torch: model.onnx with its head, JSON files, and the code that serves them."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier import onnx_graph
from sagehound.classifier.linear_head import LinearHead

TOLERANCE = 1e-3
"""Largest difference between torch's and onnxruntime's logits, as a share of the largest logit."""
REQUIREMENTS = ("numpy", "onnxruntime", "pillow")
"""What the serving code needs beyond Python."""
_INFERENCE = '''"""The entry point that a model server loads: the four functions of the classifier."""

from sagehound.classifier.inference import THREAD_SAFE, input_fn, model_fn, output_fn, predict_fn

__all__ = ["THREAD_SAFE", "input_fn", "model_fn", "output_fn", "predict_fn"]
'''


class ExportMismatch(RuntimeError):
    """The exported file does not compute what the network computes."""


def add_head(backbone_file: Path, head: LinearHead, path: Path) -> None:
    """Write backbone and head as one ONNX file: pixels -> logits [batch, classes]."""
    import onnx

    model = onnx.load(backbone_file)
    weight, bias = head.folded()
    graph = model.graph
    graph.initializer.extend(
        [onnx.numpy_helper.from_array(weight, "head.weight"), onnx.numpy_helper.from_array(bias, "head.bias")]
    )
    inputs = [onnx_graph.FEATURES, "head.weight", "head.bias"]
    graph.node.append(onnx.helper.make_node("Gemm", inputs, [onnx_graph.LOGITS], "head", transB=1))
    del graph.output[:]
    shape: list[str | int | None] = ["batch", len(bias)]
    graph.output.append(onnx.helper.make_tensor_value_info(onnx_graph.LOGITS, onnx.TensorProto.FLOAT, shape))
    write_onnx(model, path, whole=False)


def write_onnx(model: Any, path: Path, *, whole: bool = True) -> None:
    """Check and write a model as one self-contained file, whole or not at all.

    `whole` infers the shapes of the whole graph anew, which a graph that was checked before does not need.
    """
    import onnx

    onnx.checker.check_model(model, full_check=whole)
    outside = [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise ExportMismatch(f"{path.name} would keep {outside[0]} in another file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(model.SerializeToString())
    os.replace(temporary, path)


def check_onnx(path: Path, expected: NDArray[np.float32]) -> float:
    """The largest difference between the file's logits on the probe and those expected, as a share of the largest one.

    The file is read as bytes, so one that leans on another file fails. Raises ExportMismatch above TOLERANCE.
    """
    session = onnx_graph.open_session(path.read_bytes())
    found = onnx_graph.run_probe(session, onnx_graph.probe_pixels(onnx_graph.read_preprocessing(session)))
    difference = float(np.abs(expected - found).max() / max(1.0, float(np.abs(expected).max())))
    if not difference <= TOLERANCE:
        raise ExportMismatch(f"{path.name} differs from the network by {difference:.2g} of the largest logit")
    return difference


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON in UTF-8, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def write_code(model_dir: Path) -> None:
    """Put the serving code into MODEL_DIR/code, so that the artefact deploys as it is.

    The package lies at the same path as here; its entry point is code/inference.py (SAGEMAKER_PROGRAM). Where this code
    came with a requirements.txt, a container had to install something to train, so one has to for serving too; where it
    did not, everything is there and an endpoint starts without an installer.
    """
    code = model_dir / "code"
    shutil.rmtree(code, ignore_errors=True)
    package = code / "sagehound"
    shutil.copytree(
        Path(__file__).parent, package / "classifier", ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    )
    (package / "__init__.py").write_text("")
    (code / "inference.py").write_text(_INFERENCE)
    if (Path(__file__).parents[2] / "requirements.txt").is_file():
        (code / "requirements.txt").write_text("".join(f"{name}\n" for name in REQUIREMENTS))
