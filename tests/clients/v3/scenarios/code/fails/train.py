"""A script that fails as scripts do."""

raise FileNotFoundError("there are no pictures in /opt/ml/input/data/training")
