"""The model server around the models and scripts of strangers, as AWS's PyTorch inference container serves them."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.model_server_process import ModelServer

RETURNS = """
import numpy as np
RETURNS = {
    "dict": {"breed": "\\u00fc", "scores": [1.5, None]},
    "list": [[1.0, -2.5]],
    "nothing": None,
    "number": 3,
    "text": "a,b",
    "bytes": b"\\xff\\x00",
    "bytearray": bytearray(b"x"),
    "pair": ("a;b", "text/csv"),
    "pair of a dict": ({"a": 1}, "application/json"),
    "three": ("x", "text/plain", "left out"),
    "array": np.zeros(2),
    "number of numpy": {"score": np.float32(1)},
}
def model_fn(model_dir): return None
def input_fn(data, content_type): return data.decode()
def predict_fn(data, model): return RETURNS[data]
def output_fn(prediction, accept): return prediction
"""


def test_what_output_fn_may_return(tmp_path: Path) -> None:
    with ModelServer(tmp_path, RETURNS) as server:
        for asked, said in (
            ("dict", {"breed": "\u00fc", "scores": [1.5, None]}),
            ("list", [[1.0, -2.5]]),
            ("nothing", None),
            ("number", 3),
            ("pair of a dict", {"a": 1}),
        ):
            status, content_type, body = server.post(asked.encode(), "a/b")
            assert (status, content_type, json.loads(body)) == (200, "application/json", said), asked
        for asked, answer in (
            ("text", ("application/json", b"a,b")),
            ("bytes", ("application/json", b"\xff\x00")),
            ("bytearray", ("application/json", b"x")),
            ("pair", ("text/csv", b"a;b")),
            ("three", ("text/plain", b"x")),
        ):
            assert server.post(asked.encode(), "a/b") == (200, *answer), asked
        for asked in ("array", "number of numpy"):
            status, _, body = server.post(asked.encode(), "a/b")
            told = {"code": 503, "type": "InternalServerException", "message": "Unsupported model output data type."}
            assert (status, json.loads(body)) == (503, told), asked
        assert "TypeError: Object of type ndarray is not JSON serializable" in server.output


def test_functions_before_and_after_the_load(tmp_path: Path) -> None:
    code = """
order = []
def pre_model_fn(model_dir): order.append("before")
def model_fn(model_dir):
    order.append("load")
    return "model"
def model_warmup_fn(model_dir, model, context): order.append(f"warm {model} {context.model_name}")
def transform_fn(model, data, content_type, accept): return order
"""
    with ModelServer(tmp_path, code, SAGEMAKER_TS_BATCH_SIZE="4") as server:
        assert json.loads(server.post(b"", "a/b")[2]) == ["before", "load", "warm model model"]
        assert "SAGEMAKER_TS_BATCH_SIZE has no effect" in server.output


def test_older_handlers_find_the_headers_in_the_request_processor(tmp_path: Path) -> None:
    code = """
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept, context):
    processor = context.request_processor[0]
    return [processor.get_request_property("Content-Type"), processor.get_request_properties()["content-type"]]
"""
    with ModelServer(tmp_path, code) as server:
        assert json.loads(server.post(b"", "a/b")[2]) == ["a/b", "a/b"]


def test_a_script_beside_the_model_is_found(tmp_path: Path) -> None:
    server = ModelServer(tmp_path, None, SAGEMAKER_PROGRAM="serve.py")
    (server.model_dir / "code").rmdir()
    (server.model_dir / "helper.py").write_text("ANSWER = 'from beside the model'\n")
    (server.model_dir / "serve.py").write_text(
        "from helper import ANSWER\n"
        "def model_fn(model_dir): return None\n"
        "def transform_fn(model, data, content_type, accept): return ANSWER\n"
    )
    with server:
        assert server.post(b"", "a/b")[2] == b"from beside the model"


SAVE = """
import sys, torch
from torch import nn
sys.path.insert(0, sys.argv[1] + "/code")
from net import Net
class Own(Net): pass
torch.manual_seed(0)
model = Net()
torch.jit.script(model).save(sys.argv[1] + "/scripted.pt")
torch.save(model, sys.argv[1] + "/whole.pth")
torch.save(Own(), sys.argv[1] + "/main.pth")
torch.save(model.state_dict(), sys.argv[1] + "/state.pth")
print(model.eval()(torch.ones(1, 3)).tolist())
"""
NET = """
from torch import nn, Tensor
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.drop = nn.Dropout(0.5)
    def forward(self, data: Tensor):
        return self.drop(self.layer(data))
"""
LOAD = """
import io, os, torch
from net import Net
def model_fn(model_dir):
    path = os.path.join(model_dir, os.environ["MODEL_FILE"])
    if "state" in path:
        model = Net()
        model.load_state_dict(torch.load(path, map_location="cpu"))
        return model
    return torch.load(path, map_location="cpu")
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """One model in every way that scripts save it, its class in code/net.py, and what it says to three ones."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "code").mkdir()
    (folder / "code" / "net.py").write_text(NET)
    done = subprocess.run([sys.executable, "-c", SAVE, str(folder)], check=True, capture_output=True, text=True)
    return folder, json.loads(done.stdout.splitlines()[-1])[0]


def _served(root: Path, saved: Path, files: list[str], code: str | None, **environment: str) -> ModelServer:
    server = ModelServer(root, code, **environment)
    (server.model_dir / "code" / "net.py").write_text(NET)
    for name in files:
        (server.model_dir / name).write_bytes((saved / name).read_bytes())
    return server


@pytest.mark.parametrize("file", ["state.pth", "whole.pth"])
def test_only_model_fn(tmp_path: Path, saved: tuple[Path, list[float]], file: str) -> None:
    folder, expected = saved
    # PyTorch before 2.6 loaded whole models: so it does for their images.
    old = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} if file == "whole.pth" else {}
    with _served(tmp_path, folder, [file], LOAD, MODEL_FILE=file, **old) as server:
        status, content_type, body = server.post(b"[[1, 1, 1]]", "application/json")
        assert (status, content_type) == (200, "application/json")
        assert json.loads(body)[0] == pytest.approx(expected)
        status, content_type, body = server.post(b"1,1,1", "text/csv", Accept="text/csv")
        assert (status, content_type) == (200, "text/csv")
        assert [float(value) for value in body.split()] == pytest.approx(expected)


def test_whole_models_of_the_training_script_itself_are_not_found_as_on_aws(
    tmp_path: Path, saved: tuple[Path, list[float]]
) -> None:
    variables = {"MODEL_FILE": "main.pth", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    server = _served(tmp_path, saved[0], ["main.pth"], LOAD, **variables)
    assert server.start().wait(60) == 1
    assert "Can't get attribute 'Own' on <module '__main__'" in server.output


def test_whole_models_need_their_consent_from_pytorch_2_6_on(tmp_path: Path, saved: tuple[Path, list[float]]) -> None:
    server = _served(tmp_path, saved[0], ["whole.pth"], LOAD, MODEL_FILE="whole.pth")
    assert server.start().wait(60) == 1
    assert f"{pickle.UnpicklingError.__name__}: Weights only load failed" in server.output


def test_torchscript_is_served_without_a_script_and_model_pt_comes_first(
    tmp_path: Path, saved: tuple[Path, list[float]]
) -> None:
    folder, expected = saved
    server = _served(tmp_path, folder, ["state.pth"], None, SAGEMAKER_PROGRAM="left_out.py")
    (server.model_dir / "model.pt").write_bytes((folder / "scripted.pt").read_bytes())
    with server:
        assert "SAGEMAKER_PROGRAM left_out.py is not in" in server.output
        assert json.loads(server.post(b"[[1, 1, 1]]", "application/json")[2])[0] == pytest.approx(expected)


def test_a_file_that_is_no_torchscript_is_named(tmp_path: Path, saved: tuple[Path, list[float]]) -> None:
    server = _served(tmp_path, saved[0], ["state.pth"], None)
    assert server.start().wait(60) == 1
    assert "Failed to load" in server.output
    assert "state.pth. Please ensure model is saved using torchscript." in server.output


def test_a_tensor_is_answered_as_torch_saves_it(tmp_path: Path, saved: tuple[Path, list[float]]) -> None:
    import torch

    folder, expected = saved
    code = LOAD + "def output_fn(prediction, accept): return prediction\n"
    with _served(tmp_path, folder, ["state.pth"], code, MODEL_FILE="state.pth") as server:
        answer = torch.load(io.BytesIO(server.post(b"[[1, 1, 1]]", "application/json")[2]))
        assert answer.tolist()[0] == pytest.approx(expected)
