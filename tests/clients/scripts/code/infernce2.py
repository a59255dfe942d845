# The handler of the endpoint: a picture as image/jpeg, or its address as {"url": ...}.
import io
import json
import logging
import os
import sys

import requests
import torch
import torch.nn as nn
import torchvision.models as models
import torchvision.transforms as transforms
from PIL import Image

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.StreamHandler(sys.stdout))

JSON_CONTENT_TYPE = "application/json"
JPEG_CONTENT_TYPE = "image/jpeg"


def Net():
    model = models.resnet18(pretrained=True)
    for param in model.parameters():
        param.requires_grad = False
    model.fc = nn.Sequential(nn.Linear(model.fc.in_features, 128), nn.ReLU(inplace=True), nn.Linear(128, 133))
    return model


def model_fn(model_dir):
    print("In model_fn. Model directory is -")
    print(model_dir)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Net().to(device)
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        print("Loading the dog-classifier model")
        model.load_state_dict(torch.load(f, map_location=device))
        print("MODEL-LOADED")
    model.eval()
    return model


def input_fn(request_body, content_type=JPEG_CONTENT_TYPE):
    logger.info("Deserializing the input data.")
    logger.debug(f"Request body CONTENT-TYPE is: {content_type}")
    logger.debug(f"Request body TYPE is: {type(request_body)}")
    if content_type == JPEG_CONTENT_TYPE:
        return Image.open(io.BytesIO(request_body))
    if content_type == JSON_CONTENT_TYPE:
        request = json.loads(request_body)
        url = request["url"]
        logger.debug(f"Loading image from {url}")
        return Image.open(io.BytesIO(requests.get(url).content))
    raise Exception(f"Requested unsupported ContentType in content_type: {content_type}")


def predict_fn(input_object, model):
    logger.info("In predict fn")
    test_transform = transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()])
    input_object = test_transform(input_object)
    with torch.no_grad():
        return model(input_object.unsqueeze(0))
