"""Train a classifier with given hyperparameters: the entry point of a training job, or a script on any machine."""

import os
import sys

# numpy reads this when it is imported. The products of a head's steps are small: a second thread gains nothing, and
# where trials share the cores, its waiting for the first one costs fifteen times the work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from sagehound.classifier.arguments import parse_arguments
from sagehound.classifier.entry_points.failures import failures_told
from sagehound.classifier.job import train


def main() -> None:
    arguments = parse_arguments(__doc__ or "", sys.argv[1:], os.environ)
    with failures_told(os.environ):
        train(arguments, os.environ, use_test_split=True)


if __name__ == "__main__":
    main()
