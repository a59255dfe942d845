"""What old notebooks' scripts do first."""

import sys

import numpy as np
import torch

print(f"python {sys.version_info.major}, numpy {np.ones(1).sum():.0f}, torch tensor {torch.ones(1).item():.0f}")
