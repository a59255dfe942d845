"""A loss that depends on the hyperparameters in a known way: the best learning rate is 0.01, the best batch size 64."""

import argparse
import math
import os
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, required=True)
parser.add_argument("--batch_size", type=int, required=True)
parser.add_argument("--epochs", type=int, required=True)
arguments = parser.parse_args()
loss = abs(math.log10(arguments.learning_rate) + 2) + (0 if arguments.batch_size == 64 else 1)
print(f"Training on {sorted(os.listdir(os.environ['SM_CHANNEL_TRAINING']))} for {arguments.epochs} epochs")
print(f"Testing Loss: {loss:.6f}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(f"{loss:.6f}")
