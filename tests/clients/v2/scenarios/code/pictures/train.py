"""A network for pictures, too small to learn anything, saved as notebooks save theirs, and what it says of one dog."""

import json
import os

import numpy
import torch
from network import net
from PIL import Image

torch.manual_seed(0)
model = net()
print("saving the model")
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"), "wb") as file:
    torch.save(model.state_dict(), file)
with Image.open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dog.jpg")) as picture:
    pixels = torch.from_numpy(numpy.array(picture.convert("RGB"), dtype="float32") / 255)
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "dog.json"), "w") as file:
    json.dump(model(pixels.permute(2, 0, 1).unsqueeze(0)).tolist(), file)
