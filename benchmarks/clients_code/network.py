"""The network of the measured flow, and how it sees a picture."""

import io

import numpy as np
import torch
from PIL import Image
from torch import nn

CLASSES = 133


def net() -> nn.Module:
    """Two convolutions and a linear layer."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, CLASSES)),
    )


def pixels(content: bytes) -> torch.Tensor:
    """A picture of 64 by 64 pixels, channels first."""
    with Image.open(io.BytesIO(content)) as picture:
        small = np.asarray(picture.convert("RGB").resize((64, 64)), dtype=np.float32)
    return torch.from_numpy(small).permute(2, 0, 1) / 255
