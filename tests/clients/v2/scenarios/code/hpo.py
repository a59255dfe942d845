"""A training whose loss depends on its learning rate, with its hyperparameters as notebooks give them."""

import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch-size", type=int)
parser.add_argument("--layers", type=int, default=1)
parser.add_argument("--epochs", type=int, default=1)
arguments = parser.parse_args()
with open(os.path.join(os.environ["SM_CHANNEL_TRAINING"], "target.txt")) as file:
    target = float(file.read())
for epoch in range(arguments.epochs):
    loss = (arguments.lr - target) ** 2 + 1 / (epoch + 1)
    print(f"\nTest set: Average loss: {loss:.6f}, Accuracy: 1/2 ({50 + epoch}%)\n")
    print(f"Testing Loss: {loss:.6f}")
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w") as file:
    json.dump(vars(arguments), file)
