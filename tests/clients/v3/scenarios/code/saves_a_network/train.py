"""A network whose answers are known: the sums of what it is given, and their halves."""

import os

import torch

network = torch.nn.Linear(3, 2, bias=False)
with torch.no_grad():
    network.weight.copy_(torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]))
torch.save(network.state_dict(), os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))
