"""The four functions on a real artefact, as a model server calls them."""

import base64
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sagehound.classifier import inference
from sagehound.classifier.dataset import class_names
from sagehound.classifier.inference import LABELS_TYPE, Model, input_fn, model_fn, output_fn, predict_fn
from tests.classifier.pictures import CLASSES, encoded, shape
from tests.classifier.script import Finished, environment


@pytest.fixture(scope="module")
def model(trained: tuple[Path, Finished]) -> Model:
    return model_fn(str(trained[0]))


def answer(model: Model, body: bytes | str, content_type: str, accept: str = "application/json") -> Any:
    text, _ = output_fn(predict_fn(input_fn(body, content_type), model), accept)
    return json.loads(text)


def test_one_picture_gives_one_row_of_scores(model: Model) -> None:
    scores = answer(model, encoded(shape("red_disc", 900)), "image/jpeg")
    assert len(scores) == 1
    assert len(scores[0]) == 3
    assert CLASSES[int(np.argmax(scores[0]))] == "red_disc"


def test_names_and_probabilities_come_on_request(model: Model, shapes: Path) -> None:
    assert model.classes == class_names(shapes / "train")
    body = encoded(shape("blue_square", 901), "PNG")
    best = answer(model, body, "image/png", f"{LABELS_TYPE}; top=2")["predictions"]
    assert [set(entry) for entry in best] == [{"label", "score", "index"}] * 2
    assert best[0]["label"] == CLASSES[best[0]["index"]] == "blue_square"
    every = answer(model, body, "image/png", LABELS_TYPE)["predictions"]
    assert sum(entry["score"] for entry in every) == pytest.approx(1, abs=1e-4)
    assert every[:2] == best


@pytest.mark.parametrize(
    ("kind", "mode", "content_type"),
    [
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpg"),
        ("JPEG", "CMYK", "application/octet-stream"),
        ("PNG", "RGB", "image/png; q=1"),
        ("PNG", "L", "application/x-image"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "I;16", "image/png"),
        ("WEBP", "RGB", "Image/WebP"),
        ("WEBP", "RGBA", "image/webp"),
    ],
)
def test_every_format_and_colour_mode_is_answered(model: Model, kind: str, mode: str, content_type: str) -> None:
    picture = shape("red_disc", 902)
    scores = answer(model, encoded(picture.convert("L" if mode == "I;16" else mode).convert(mode), kind), content_type)
    assert np.isfinite(scores).all()


def test_a_picture_in_json_gives_the_scores_of_the_picture_itself(model: Model) -> None:
    body = encoded(shape("green_ring", 903))
    wrapped = json.dumps({"image": base64.b64encode(body).decode()})
    assert answer(model, wrapped, "application/json") == answer(model, body, "image/jpeg")


def test_a_url_is_fetched_only_from_an_allowed_host(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    body = encoded(shape("green_ring", 904))

    class Pictures(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body if self.path == "/ring.jpg" else b"<html>")

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(ValueError, match="not at a public address"):
            answer(model, json.dumps({"url": f"{url}/ring.jpg"}), "application/json")
        monkeypatch.setenv(inference.ALLOWED_HOSTS_VARIABLE, "pictures.example, 127.0.0.1")
        fetched = answer(model, json.dumps({"url": f"{url}/ring.jpg"}), "application/json")
        with pytest.raises(ValueError, match=r"what http.*/page answers is not a readable picture"):
            answer(model, json.dumps({"url": f"{url}/page"}), "application/json")
        server.shutdown()
        thread.join()
    assert fetched == answer(model, body, "image/jpeg")


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "said"),
    [
        (b"x", "text/csv", "*/*", "content type 'text/csv' is not supported: send a picture"),
        (b"x", "image/jpeg", "*/*", "the body is not a readable picture"),
        (b"", "image/jpeg", "*/*", "it is empty"),
        ("{", "application/json", "*/*", "the body is not JSON"),
        ("[1]", "application/json", "*/*", 'must be {"url": "https://..."}'),
        ('{"image": "%"}', "application/json", "*/*", "'image' is not base64"),
        ('{"url": "file:///etc/passwd"}', "application/json", "*/*", "only http and https"),
        (encoded(shape("red_disc", 1)), "image/jpeg", "text/html", "accept 'text/html' is not supported"),
        (encoded(shape("red_disc", 1)), "image/jpeg", f"{LABELS_TYPE};top=x", "top=x is not a whole number"),
        (encoded(shape("red_disc", 1))[:900], "image/jpeg", "*/*", "the body is not a readable picture"),
    ],
)
def test_a_bad_request_says_what_is_wrong(
    model: Model, body: bytes | str, content_type: str, accept: str, said: str
) -> None:
    with pytest.raises(ValueError) as error:
        answer(model, body, content_type, accept)
    assert said in str(error.value)


@pytest.mark.parametrize("accept", ["*/*", "", "text/html, application/json;q=0.9", "application/*"])
def test_json_is_the_default_answer(model: Model, accept: str) -> None:
    assert len(answer(model, encoded(shape("red_disc", 1)), "image/jpeg", accept)[0]) == 3


def test_threads_get_the_same_scores_as_one_alone(model: Model) -> None:
    assert inference.THREAD_SAFE is True
    bodies = [encoded(shape(CLASSES[i % 3], i)) for i in range(24)]
    alone = [answer(model, body, "image/jpeg") for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda body: answer(model, body, "image/jpeg"), bodies))
    assert together == alone


def test_an_incomplete_artefact_is_refused(trained: tuple[Path, Finished], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model\.onnx \(it holds: nothing\)"):
        model_fn(str(tmp_path))
    (tmp_path / "model.onnx").write_bytes((trained[0] / "model.onnx").read_bytes())
    (tmp_path / "classes.json").write_text('["one", "two"]')
    with pytest.raises(ValueError, match=r"3 scores but classes\.json names 2"):
        model_fn(str(tmp_path))


def test_the_artefact_serves_itself_with_the_code_in_it(trained: tuple[Path, Finished]) -> None:
    """Loaded as SAGEMAKER_PROGRAM=inference.py from code/, without this package on the path and without torch."""
    folder = trained[0]
    code = f"""
import sys
sys.path.insert(0, {str(folder / "code")!r})
import inference
model = inference.model_fn({str(folder)!r})
body = open(sys.argv[1], "rb").read()
print(inference.output_fn(inference.predict_fn(inference.input_fn(body, "image/jpeg"), model), "*/*")[0])
import sagehound.classifier
assert sagehound.classifier.__file__.startswith({str(folder)!r}), sagehound.classifier.__file__
assert "torch" not in sys.modules
"""
    picture = folder.parent / "picture.jpg"
    picture.write_bytes(encoded(shape("red_disc", 905)))
    bare = environment() | {"PYTHONPATH": ""}
    finished = subprocess.run(
        [sys.executable, "-c", code, str(picture)], env=bare, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == answer(model_fn(str(folder)), picture.read_bytes(), "image/jpeg")


def test_json_nested_beyond_reason_is_a_bad_request() -> None:
    with pytest.raises(ValueError, match="the body is not JSON"):
        input_fn(b"[" * 200_000, "application/json")
