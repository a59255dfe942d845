"""The exported files and the code that goes with them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

import sagehound
from sagehound.classifier.artefact import ExportMismatch, add_head, check_onnx, write_json
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.export import export_backbone, load_network, probe, save_network
from sagehound.classifier.linear_head import LinearHead
from sagehound.classifier.network import Classifier, Head, create_backbone
from sagehound.classifier.saved_network import replace_head
from tests.classifier.script import environment


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Path]:
    """An untrained network whose head standardizes, and its file."""
    folder = tmp_path_factory.mktemp("exported")
    backbone = create_backbone("efficientnet_lite0")
    torch.manual_seed(4)
    head = Head(backbone.feature_count, 5)
    torch.nn.init.normal_(head.linear.weight, std=0.1)
    torch.nn.init.normal_(head.linear.bias)
    head.standardize(torch.rand(20, backbone.feature_count).numpy() * 3)
    export_backbone(backbone, folder / "backbone.onnx")
    add_head(folder / "backbone.onnx", head.arrays(), folder / "model.onnx")
    return Classifier(backbone, head), folder


def expected(classifier: Classifier) -> NDArray[np.float32]:
    return probe(classifier, classifier.backbone.preprocessing)


def test_a_head_is_replaced_in_a_saved_network_as_if_torch_had_saved_it(
    exported: tuple[Classifier, Path], tmp_path: Path
) -> None:
    classifier, _ = exported
    blank = Classifier(classifier.backbone, Head(classifier.backbone.feature_count, 5))
    save_network(blank, ("a", "b", "c", "d", "é"), tmp_path / "blank.pth")
    replace_head(tmp_path / "blank.pth", classifier.head.arrays(), tmp_path / "model.pth")
    found, classes = load_network(tmp_path / "model.pth")
    assert classes == ("a", "b", "c", "d", "é")
    wanted = classifier.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in found.state_dict().items())


def test_a_file_that_is_no_network_or_has_another_head_is_refused(
    exported: tuple[Classifier, Path], tmp_path: Path
) -> None:
    classifier, _ = exported
    save_network(classifier, ("a", "b", "c", "d", "e"), tmp_path / "five.pth")
    other = LinearHead.untrained(np.ones((2, classifier.backbone.feature_count), np.float32), 6)
    with pytest.raises(BadDataset, match="a head of other sizes"):
        replace_head(tmp_path / "five.pth", other, tmp_path / "model.pth")
    torch.save({"state": torch.nn.Linear(2, 2)}, tmp_path / "module.pth")
    (tmp_path / "text.pth").write_text("no zip")
    for name in ("module.pth", "text.pth"):
        with pytest.raises(BadDataset, match=f"{name} is no network of this classifier"):
            replace_head(tmp_path / name, other, tmp_path / "model.pth")
    assert not (tmp_path / "model.pth").exists()


def test_the_file_takes_any_number_of_pictures_and_says_how_it_wants_them(exported: tuple[Classifier, Path]) -> None:
    classifier, folder = exported
    model = onnx.load(folder / "model.onnx")
    shapes = [
        [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (model.graph.input[0], model.graph.output[0])
    ]
    assert shapes == [["batch", 3, 224, 224], ["batch", 5]]
    assert {entry.key for entry in model.metadata_props} == {"sagehound.preprocessing"}
    assert {path.name for path in folder.iterdir()} == {"backbone.onnx", "model.onnx"}
    assert check_onnx(folder / "model.onnx", expected(classifier)) < 1e-4


def test_the_graph_has_no_shape_arithmetic_and_no_foreign_operators(exported: tuple[Classifier, Path]) -> None:
    """Shapes worked out at run time cost a third of the speed."""
    model = onnx.load(exported[1] / "model.onnx")
    assert {node.op_type for node in model.graph.node} == {"Sub", "Div", "Conv", "Clip", "Add", "ReduceMean", "Gemm"}
    assert [opset.domain for opset in model.opset_import] == [""]


def test_a_file_that_computes_something_else_is_refused(exported: tuple[Classifier, Path], tmp_path: Path) -> None:
    classifier, folder = exported
    model = onnx.load(folder / "model.onnx")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "head.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(1), "head.bias"))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ExportMismatch, match=r"model\.onnx differs from the network"):
        check_onnx(tmp_path / "model.onnx", expected(classifier))


@pytest.mark.parametrize("came_with_requirements", [True, False])
def test_the_shipped_code_lists_what_to_install_where_it_had_to_be_installed(
    tmp_path: Path, came_with_requirements: bool
) -> None:
    package = Path(sagehound.__file__).parent
    bundle = tmp_path / "bundle"
    shutil.copytree(package / "classifier", bundle / "sagehound" / "classifier")
    (bundle / "sagehound" / "__init__.py").write_text("")
    if came_with_requirements:
        (bundle / "requirements.txt").write_text("onnx\n")
    code = (
        "import sys, pathlib\nfrom sagehound.classifier import artefact\nartefact.write_code(pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model")]
    subprocess.run(command, env=environment() | {"PYTHONPATH": str(bundle)}, check=True)
    shipped = {path.relative_to(tmp_path / "model" / "code").as_posix() for path in tmp_path.glob("model/code/**/*.*")}
    assert {"inference.py", "sagehound/__init__.py", "sagehound/classifier/inference.py"} <= shipped
    assert not any("__pycache__" in name for name in shipped)
    assert ("requirements.txt" in shipped) is came_with_requirements


def test_json_is_written_whole_and_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "classes.json", ["001.Löwchen"])
    assert json.loads((tmp_path / "classes.json").read_text(encoding="utf-8")) == ["001.Löwchen"]
    assert [path.name for path in tmp_path.iterdir()] == ["classes.json"]
