"""The user's functions behind /invocations: which are called, with what, and what comes back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from .model_server_process import ModelServer

ECHO = """
def model_fn(model_dir):
    return "model of " + model_dir
def input_fn(data, content_type):
    return [type(data).__name__, content_type, len(data)]
def predict_fn(data, model):
    return [*data, model]
def output_fn(prediction, accept):
    import json
    return json.dumps([*prediction, accept])
"""


def test_four_functions_in_order(tmp_path: Path) -> None:
    with ModelServer(tmp_path, ECHO) as server:
        status, content_type, body = server.post(b"\xff\x00\x01", "image/jpeg")
        assert (status, content_type) == (200, "application/json")
        assert json.loads(body) == ["bytes", "image/jpeg", 3, f"model of {server.model_dir}", "application/json"]


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("application/json", "str"), ("text/csv", "str"), ("text/plain", "bytes"), ("application/x-npy", "bytes")],
)
def test_only_json_and_csv_reach_input_fn_as_text(tmp_path: Path, content_type: str, kind: str) -> None:
    with ModelServer(tmp_path, ECHO) as server:
        assert json.loads(server.post(b"[1]", content_type)[2])[0] == kind


def test_accept_of_the_caller_and_its_default(tmp_path: Path) -> None:
    with ModelServer(tmp_path, ECHO, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv") as server:
        assert server.post(b"x", "a/b", Accept="application/x-npy")[1] == "application/x-npy"
        assert server.post(b"x", "a/b", Accept="*/*")[1] == "text/csv"
        assert server.post(b"x", "a/b")[1] == "text/csv"


def test_a_context_is_passed_to_functions_with_room_for_it(tmp_path: Path) -> None:
    code = """
def model_fn(model_dir, context):
    return context.system_properties["model_dir"] == model_dir
def input_fn(data, content_type, context):
    return context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
def predict_fn(data, model):
    return [data, model]
def output_fn(prediction, accept, context=None):
    context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "back")
    return repr(prediction), "text/x-repr"
"""
    with ModelServer(tmp_path, code) as server:
        headers = {"X-Amzn-SageMaker-Custom-Attributes": "there"}
        status, content_type, body, answered = server.request("POST", "/invocations", b"", headers)
        assert (status, content_type, body) == (200, "text/x-repr", b"['there', True]")
        assert answered["x-amzn-sagemaker-custom-attributes"] == "back"


@pytest.mark.parametrize("context", ["", ", context"])
def test_transform_fn_does_everything(tmp_path: Path, context: str) -> None:
    code = f"""
def model_fn(model_dir): return 7
def transform_fn(model, data, content_type, accept{context}):
    return f"{{model}} {{data}} {{content_type}} {{accept}}", "text/plain"
"""
    with ModelServer(tmp_path, code) as server:
        assert server.post("1,2", "text/csv") == (200, "text/plain", b"7 1,2 text/csv application/json")


def test_an_exception_is_a_500_with_message_and_traceback(tmp_path: Path) -> None:
    code = ECHO + "def predict_fn(data, model):\n    raise ValueError('no such breed')\n"
    with ModelServer(tmp_path, code) as server:
        status, _, body = server.post(b"x", "a/b")
        assert status == 500
        assert body.decode().startswith("no such breed\nTraceback (most recent call last)")
        assert "in predict_fn" in body.decode()
        assert "no such breed" in server.output
        assert server.request("GET", "/ping")[0] == 200


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("context.set_response_status(199)", "a number from 200 to 599, not 199"),
        ("context.set_response_status('200')", "a number from 200 to 599, not '200'"),
        ("context.set_response_content_type(0, 'text/plain\\r\\nx-evil: 1')", "a line of text"),
        ("context.set_response_header(0, 'x-name', 'a\\r\\nx-evil: 1')", "no header of an answer"),
        ("context.set_response_header(0, 'x name', 'a')", "no header of an answer"),
        ("context.set_response_header(0, 'x-name', '\u65e5')", "no header of an answer"),
        ("return 'body', None", "a line of text, not None"),
        ("raise type('Mute', (Exception,), {'__str__': None})()", "Mute"),
        ("raise ValueError('\\ud800')", "ValueError: "),
    ],
)
def test_what_cannot_go_over_http_is_an_error_of_the_handler(tmp_path: Path, does: str, said: str) -> None:
    code = f"""
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept, context):
    {does}
    return "body", "text/plain"
"""
    with ModelServer(tmp_path, code) as server:
        status, content_type, body = server.post(b"x", "a/b")
        assert (status, content_type) == (500, "text/plain")
        assert said in body.decode()
        assert server.post(b"x", "a/b")[0] == 500


def test_headers_of_the_server_are_its_own(tmp_path: Path) -> None:
    code = """
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept, context):
    for name in ("X-Not-Started", "Content-Length", "Connection"):
        context.set_response_header(0, name, "1")
    context.set_response_header(0, "X-Number", 5)
    return "body", "text/plain"
"""
    with ModelServer(tmp_path, code) as server:
        status, _, body, answered = server.request("POST", "/invocations", b"", {})
        assert (status, body, answered["content-length"], answered["x-number"]) == (200, b"body", "4", "5")
        assert not answered.keys() & {"x-not-started", "connection"}


def test_unknown_paths_and_methods(tmp_path: Path) -> None:
    with ModelServer(tmp_path, ECHO) as server:
        assert server.request("GET", "/invocations")[0] == 405
        assert server.request("GET", "/models")[0] == 404


def test_the_artefacts_packages_win_over_ours(tmp_path: Path) -> None:
    package = tmp_path / "model" / "code" / "sagehound"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "context.py").write_text("NAME = 'of the artefact'\n")
    (tmp_path / "model" / "code" / "context.py").write_text("import sagehound.context\nNAME = sagehound.context.NAME\n")
    code = "import context\ndef model_fn(d): return context.NAME\ndef transform_fn(model, d, c, a): return model\n"
    with ModelServer(tmp_path, code) as server:
        assert server.post(b"", "a/b")[2] == b"of the artefact"


def test_default_functions_serve_a_torchscript_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "model").mkdir()
    torch.jit.save(torch.jit.script(torch.nn.Flatten(0)), tmp_path / "model" / "model.pt")
    with ModelServer(tmp_path, None) as server:
        assert server.post("[[1, 2], [3, 4]]", "application/json")[::2] == (200, b"[1.0, 2.0, 3.0, 4.0]")
        assert server.post("1,2\n3,4", "text/csv", Accept="text/csv")[2] == b"1.0\n2.0\n3.0\n4.0\n"
        npy = io.BytesIO()
        np.save(npy, np.array([[1, 2]], dtype=np.int64))
        status, _, body = server.post(npy.getvalue(), "application/x-npy", Accept="application/x-npy")
        assert status == 200
        assert np.load(io.BytesIO(body)).tolist() == [1, 2]
        status, _, body = server.post(b"x", "image/jpeg")
        assert status == 415
        assert body.startswith(b"Content type image/jpeg is not supported by this framework.")
        assert server.post("[1]", "application/json", Accept="image/png")[0] == 415


def test_default_output_of_lists_and_arrays(tmp_path: Path) -> None:
    code = """
import numpy
def model_fn(model_dir): return None
def input_fn(data, content_type): return data
def predict_fn(data, model):
    return {"array": numpy.ones((1, 2)), "list": [[1, 2]], "number": numpy.float32(3)}[data.decode()]
"""
    with ModelServer(tmp_path, code) as server:
        assert json.loads(server.post(b"array", "a/b")[2]) == [[1.0, 1.0]]
        assert json.loads(server.post(b"list", "a/b")[2]) == [[1, 2]]
        assert json.loads(server.post(b"number", "a/b")[2]) == 3
        assert server.post(b"list", "a/b", Accept="text/csv")[2] == b"1,2\n"
