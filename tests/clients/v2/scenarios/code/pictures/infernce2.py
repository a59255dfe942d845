"""A handler in the usual manner: bytes of a JPEG, or the URL of one, to 133 scores."""

import io
import json
import logging
import os
import sys

import numpy
import requests
import torch
from network import net
from PIL import Image

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.StreamHandler(sys.stdout))

JPEG_CONTENT_TYPE = "image/jpeg"
JSON_CONTENT_TYPE = "application/json"


def model_fn(model_dir):
    """The network with its weights."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = net().to(device)
    with open(os.path.join(model_dir, "model.pth"), "rb") as file:
        model.load_state_dict(torch.load(file, map_location=device))
    logger.info("the model is loaded")
    return model.eval()


def input_fn(request_body, content_type=JPEG_CONTENT_TYPE):
    """A picture from the request."""
    logger.debug("a request of type %s", content_type)
    if content_type == JPEG_CONTENT_TYPE:
        return Image.open(io.BytesIO(request_body))
    if content_type == JSON_CONTENT_TYPE:
        url = json.loads(request_body)["url"]
        return Image.open(io.BytesIO(requests.get(url, timeout=10).content))
    raise Exception(f"Requested unsupported ContentType in content_type: {content_type}")


def predict_fn(input_object, model):
    """Scores of one picture."""
    pixels = torch.from_numpy(numpy.array(input_object.convert("RGB"), dtype="float32") / 255)
    with torch.no_grad():
        return model(pixels.permute(2, 0, 1).unsqueeze(0))
