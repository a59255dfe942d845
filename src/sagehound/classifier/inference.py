"""The four functions that a model server calls: load a model, read a picture, score it, write the answer.

Imports no torch: the artefact's model.onnx runs in onnxruntime. Covered: JPEG, PNG, WebP, GIF, BMP and TIFF in any
colour mode as the body, or JSON naming a URL or holding the picture in base64. Errors are ValueErrors whose text says
what is wrong and what would be right.
"""

import base64
import binascii
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sagehound.classifier import onnx_graph
from sagehound.classifier.preprocessing import Preprocessing, open_picture, prepare
from sagehound.classifier.url_guard import fetch

THREAD_SAFE = True
"""Whether predict_fn may be called from several threads at once; a model server may read this."""
PICTURE_TYPES = frozenset(
    {
        "application/octet-stream",
        "application/x-image",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/jpg",
        "image/png",
        "image/tiff",
        "image/webp",
        "image/*",
    }
)
LABELS_TYPE = "application/vnd.sagehound.labels+json"
ALLOWED_HOSTS_VARIABLE = "SAGEHOUND_ALLOWED_URL_HOSTS"
DEFAULT_TOP = 5


@dataclass(frozen=True)
class Model:
    """A loaded artefact."""

    session: Any
    classes: tuple[str, ...]
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Prediction:
    """Logits [pictures, classes] and the classes that they stand for."""

    logits: NDArray[np.float32]
    classes: tuple[str, ...]


def model_fn(model_dir: str) -> Model:
    """Load model.onnx and classes.json. Raises ValueError or FileNotFoundError when they do not belong together."""
    folder = Path(model_dir)
    for name in ("model.onnx", "classes.json"):
        if not (folder / name).is_file():
            inside = ", ".join(sorted(p.name for p in folder.iterdir())[:10]) or "nothing"
            raise FileNotFoundError(f"the artefact has no {name} (it holds: {inside}); deploy one of train_model.py's")
    classes = tuple(json.loads((folder / "classes.json").read_text(encoding="utf-8")))
    session = onnx_graph.open_session(folder / "model.onnx")
    scores = session.get_outputs()[0].shape[1]
    if scores != len(classes):
        raise ValueError(f"model.onnx gives {scores} scores but classes.json names {len(classes)} classes")
    return Model(session, classes, onnx_graph.read_preprocessing(session))


def input_fn(data: bytes | str, content_type: str) -> Image.Image:
    """The picture of a request, opened; its pixels are decoded at the size that predict_fn needs.

    `content_type` is a picture's, or application/json with {"url": ...} or {"image": BASE64}. Raises ValueError.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in PICTURE_TYPES:
        return open_picture(data if isinstance(data, bytes) else data.encode("latin-1"))
    if kind == "application/json":
        return _from_json(data)
    raise ValueError(
        f"content type {content_type!r} is not supported: send a picture as image/jpeg, image/png or image/webp, "
        'or {"url": "https://..."} as application/json'
    )


def predict_fn(data: Image.Image, model: Model) -> Prediction:
    """The scores of one picture; may be called from many threads. Raises UnreadablePicture, a ValueError."""
    pixels = prepare(data, model.preprocessing)[None]
    return Prediction(model.session.run(None, {onnx_graph.INPUT: pixels})[0], model.classes)


def output_fn(prediction: Prediction, accept: str) -> tuple[str, str]:
    """(body, content type): [[score, ...]] as JSON, or names with probabilities for LABELS_TYPE (`; top=N`).

    Raises ValueError when no type in `accept` can be given.
    """
    for offer in accept.lower().split(","):
        kind, _, parameters = (part.strip() for part in offer.partition(";"))
        if kind == LABELS_TYPE:
            return json.dumps({"predictions": _labelled(prediction, _top(parameters))}), LABELS_TYPE
        if kind in ("application/json", "application/*", "*/*", ""):
            scores = [[round(float(score), 6) for score in row] for row in prediction.logits]
            return json.dumps(scores), "application/json"
    raise ValueError(f"accept {accept!r} is not supported: ask for application/json or {LABELS_TYPE}")


def _from_json(data: bytes | str) -> Image.Image:
    try:
        request = json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if isinstance(request, dict) and isinstance(request.get("url"), str):
        allowed = os.environ.get(ALLOWED_HOSTS_VARIABLE, "").split(",")
        return open_picture(fetch(request["url"], allowed_hosts=allowed), name=f"what {request['url']} answers")
    if isinstance(request, dict) and isinstance(request.get("image"), str):
        try:
            return open_picture(base64.b64decode(request["image"], validate=True))
        except binascii.Error as error:
            raise ValueError(f"'image' is not base64: {error}") from error
    raise ValueError('the JSON body must be {"url": "https://..."} or {"image": "<base64 of a picture>"}')


def _top(parameters: str) -> int:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "top":
            if not value.isdigit() or int(value) < 1:
                raise ValueError(f"top={value} is not a whole number of at least 1")
            return int(value)
    return DEFAULT_TOP


def _labelled(prediction: Prediction, top: int) -> list[dict[str, Any]]:
    logits = prediction.logits[0].astype(np.float64)
    exponents = np.exp(logits - logits.max())
    probabilities = exponents / exponents.sum()
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [{"label": prediction.classes[i], "score": round(float(probabilities[i]), 6), "index": int(i)} for i in best]
