# Keeps a checkpoint after every epoch, and goes on from the last one: on spot instances there may be one.
import argparse
import os

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--checkpoint-path", type=str, default="/opt/ml/checkpoints")
args = parser.parse_args()

path = os.path.join(args.checkpoint_path, "checkpoint.pth")
state = {"epoch": 0, "weight": torch.zeros(3)}
if os.path.isfile(path):
    state = torch.load(path)
    print(f"going on after epoch {state['epoch']}")
else:
    print("beginning without a checkpoint")
for epoch in range(state["epoch"], args.epochs):
    state = {"epoch": epoch + 1, "weight": state["weight"] + 1}
    torch.save(state, path)
    print(f"epoch {epoch + 1} done")
torch.save(state["weight"], os.path.join("/opt/ml/model", "model.pth"))
