"""A few steps, each with a line."""

import argparse
import os

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int)
parser.add_argument("--name", type=str)
arguments = parser.parse_args()
for step in range(arguments.steps):
    print(f"{arguments.name}: step {step}")
with open(os.path.join(os.environ["SM_MODEL_DIR"], "steps.txt"), "w") as file:
    file.write(str(arguments.steps))
