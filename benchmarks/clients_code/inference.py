"""The handler of the measured flow."""

from pathlib import Path

import torch
from network import net, pixels


def model_fn(model_dir: str) -> torch.nn.Module:
    """The trained network."""
    model = net()
    model.load_state_dict(torch.load(Path(model_dir) / "model.pth"))
    return model.eval()


def input_fn(body: bytes, content_type: str) -> torch.Tensor:
    """A JPEG as a batch of one."""
    assert content_type == "image/jpeg", content_type
    return pixels(body).unsqueeze(0)
