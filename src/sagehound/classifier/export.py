"""The artefact of a training: model.pth, model.onnx, classes.json, metrics.json and the code that serves them."""

import contextlib
import copy
import io
import json
import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from sagehound.classifier import onnx_graph
from sagehound.classifier.network import Backbone, Classifier, Head, create_backbone

OPSET = 17
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


def export_backbone(backbone: Backbone, path: Path) -> None:
    """Write the backbone as ONNX: pixels [batch, 3, size, size] in 0..255 -> features [batch, feature_count].

    The tracing exporter is used because it takes 2 s where the newer one takes 17 s for the same graph.
    """
    size = backbone.preprocessing.size
    example = torch.zeros(2, 3, size, size, device=backbone.pixel_mean.device)
    plain = path.with_name(f".{path.name}.{os.getpid()}.plain")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            backbone.eval(),
            (example,),
            plain,
            input_names=[onnx_graph.INPUT],
            output_names=[onnx_graph.FEATURES],
            dynamic_axes={onnx_graph.INPUT: {0: "batch"}, onnx_graph.FEATURES: {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    model = _simplified(plain)
    plain.unlink()
    helper.set_model_props(model, {onnx_graph.PREPROCESSING_KEY: backbone.preprocessing.to_json()})
    _write(model, path)


def _simplified(path: Path) -> Any:
    """The graph with constants folded and paddings inside their convolutions, for any runtime."""
    simple = path.with_suffix(".simple")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(simple)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(simple)
    simple.unlink()
    # onnxruntime lists all operator sets that it knows; a reader should need only those that are used.
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def add_head(backbone_file: Path, head: Head, path: Path) -> None:
    """Write backbone and head as one ONNX file: pixels -> logits [batch, classes].

    Standardization and the linear layer become one matrix: W (f - mean) / std + b = (W / std) f + (b - W mean / std).
    """
    model = onnx.load(backbone_file)
    state = {name: value.detach().double().cpu() for name, value in head.state_dict().items()}
    weight = state["linear.weight"] / state["feature_std"]
    bias = state["linear.bias"] - weight @ state["feature_mean"]
    graph = model.graph
    graph.initializer.extend(
        [
            numpy_helper.from_array(weight.float().numpy(), "head.weight"),
            numpy_helper.from_array(bias.float().numpy(), "head.bias"),
        ]
    )
    inputs = [onnx_graph.FEATURES, "head.weight", "head.bias"]
    graph.node.append(helper.make_node("Gemm", inputs, [onnx_graph.LOGITS], "head", transB=1))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(onnx_graph.LOGITS, TensorProto.FLOAT, ["batch", len(bias)]))
    _write(model, path)


def _write(model: Any, path: Path) -> None:
    """Check and write a model as one self-contained file, whole or not at all."""
    onnx.checker.check_model(model, full_check=True)
    outside = [t.name for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if outside:
        raise ExportMismatch(f"{path.name} would keep {outside[0]} in another file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(model.SerializeToString())
    os.replace(temporary, path)


@torch.inference_mode()
def check_onnx(path: Path, classifier: Classifier) -> float:
    """The largest difference of logits between file and network, as a share of the largest logit, on three pictures.

    The file is read as bytes, so one that leans on another file fails. Raises ExportMismatch above TOLERANCE.
    """
    size = classifier.backbone.preprocessing.size
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 3, size, size)).astype(np.float32)
    session = onnx_graph.open_session(path.read_bytes())
    theirs = np.concatenate(
        [session.run(None, {onnx_graph.INPUT: pixels[:1]})[0], session.run(None, {onnx_graph.INPUT: pixels[1:]})[0]]
    )
    # On a CPU, where the file is served: another device rounds differently. The network itself stays where it is.
    ours = copy.deepcopy(classifier).cpu().eval()(torch.from_numpy(pixels)).numpy()
    difference = float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(ours).max())))
    if not difference <= TOLERANCE:
        raise ExportMismatch(f"{path.name} differs from the network by {difference:.2g} of the largest logit")
    return difference


def save_network(classifier: Classifier, classes: Sequence[str], path: Path) -> None:
    """Write model.pth: backbone name, classes and all weights; `load_network` reads it."""
    content = {
        "backbone": classifier.backbone.name,
        "classes": list(classes),
        "preprocessing": classifier.backbone.preprocessing.to_json(),
        "state": {name: value.cpu() for name, value in classifier.state_dict().items()},
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(content, temporary)
    os.replace(temporary, path)


def load_network(path: Path) -> tuple[Classifier, tuple[str, ...]]:
    """The network of a model.pth and its classes in score order; needs no pretrained weights."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    backbone = create_backbone(content["backbone"], pretrained=False)
    classifier = Classifier(backbone, Head(backbone.feature_count, len(content["classes"])))
    classifier.load_state_dict(content["state"])
    return classifier.eval(), tuple(content["classes"])


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
