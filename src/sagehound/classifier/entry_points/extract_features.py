"""Turn pictures into a feature channel, so that each trial of a tuning job trains a head in seconds."""

import os
import sys

from sagehound.classifier.arguments import parse_arguments
from sagehound.classifier.entry_points.failures import failures_told
from sagehound.classifier.extraction_job import extract_features


def main() -> None:
    arguments = parse_arguments(__doc__ or "", sys.argv[1:], os.environ)
    with failures_told(os.environ):
        extract_features(arguments, os.environ)


if __name__ == "__main__":
    main()
