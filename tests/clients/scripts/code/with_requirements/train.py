# What requirements.txt names is there.
import os

import kennel
import torch

print(f"kennel {kennel.__version__} says {kennel.bark()}")
torch.save(torch.ones(1), os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))
