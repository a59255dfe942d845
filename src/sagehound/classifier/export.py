"""The network's files as torch writes them: the backbone as ONNX, and model.pth."""

import contextlib
import copy
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sagehound.classifier import onnx_graph
from sagehound.classifier.artefact import write_onnx
from sagehound.classifier.network import Backbone, Classifier, Head, create_backbone
from sagehound.classifier.preprocessing import Preprocessing

OPSET = 17


def export_backbone(backbone: Backbone, path: Path) -> None:
    """Write the backbone as ONNX: pixels [batch, 3, size, size] in 0..255 -> features [batch, feature_count].

    The tracing exporter is used because it takes 2 s where the newer one takes 17 s for the same graph.
    """
    import onnx

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
    onnx.helper.set_model_props(model, {onnx_graph.PREPROCESSING_KEY: backbone.preprocessing.to_json()})
    write_onnx(model, path)


def _simplified(path: Path) -> Any:
    """The graph with constants folded and paddings inside their convolutions, for any runtime."""
    import onnx
    import onnxruntime

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


@torch.inference_mode()
def probe(module: nn.Module, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """What a network makes of the probe: on a CPU, where its file is served. The network itself stays where it is."""
    pixels = torch.from_numpy(onnx_graph.probe_pixels(preprocessing))
    outputs: NDArray[np.float32] = copy.deepcopy(module).cpu().eval()(pixels).numpy()
    return outputs


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
