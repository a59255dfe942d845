"""A small network on small pictures, as an entry point of SageMaker's: what benchmarks/clients.py has trained."""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from network import net, pixels
from torch import nn


def split(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures of a split and the numbers of their classes."""
    classes = sorted(one.name for one in folder.iterdir())
    paths = sorted(folder.glob("*/*.jpg"))
    pictures = torch.stack([pixels(path.read_bytes()) for path in paths])
    return pictures, torch.tensor(np.array([classes.index(path.parent.name) for path in paths]))


parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--lr", type=float, default=0.01)
arguments = parser.parse_args()

data = Path(os.environ["SM_CHANNEL_TRAINING"])
pictures, labels = split(data / "train")
model, criterion = net(), nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)
for first in range(0, len(pictures), arguments.batch_size):
    optimizer.zero_grad()
    batch = slice(first, first + arguments.batch_size)
    criterion(model(pictures[batch]), labels[batch]).backward()
    optimizer.step()
pictures, labels = split(data / "test")
with torch.no_grad():
    print(f"Testing Loss: {criterion(model(pictures), labels).item():.4f}")
torch.save(model.state_dict(), Path(os.environ["SM_MODEL_DIR"]) / "model.pth")
