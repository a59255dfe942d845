"""A line through points, fitted by gradient descent: what a training script of a stranger does, in a second."""

import argparse
import csv
import json
import os
import sys

import numpy
from points import read_points  # beside this script
from reporting.lines import report  # a dependency of the estimator


def train(args):
    """Fit, report a loss for each epoch, and leave a model and a note."""
    x, y = read_points(os.path.join(args.data_dir, "points.csv"))
    slope, offset = 0.0, 0.0
    for epoch in range(args.epochs):
        error = slope * x + offset - y
        slope -= args.learning_rate * 2 * float(numpy.mean(error * x))
        offset -= args.learning_rate * 2 * float(numpy.mean(error))
        print(report("Train", float(numpy.mean(error**2))))
        print(report("Testing", float(numpy.mean((slope * x + offset - y) ** 2))), file=sys.stderr)
        print(f"epoch {epoch} is over", flush=True)
    with open(os.path.join(args.model_dir, "line.json"), "w") as file:
        json.dump({"slope": slope, "offset": offset}, file)
    with open(os.path.join(args.output_dir, "notes.csv"), "w", newline="") as file:
        csv.writer(file).writerow([args.title, os.environ["GREETING"], os.environ["SM_NUM_CPUS"]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--title", type=str, default="")
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--data-dir", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--output-dir", type=str, default=os.environ["SM_OUTPUT_DATA_DIR"])
    arguments = parser.parse_args()
    print("arguments:", json.dumps(vars(arguments), sort_keys=True))
    print("hyperparameters:", json.dumps(json.loads(os.environ["SM_HPS"]), sort_keys=True))
    train(arguments)
