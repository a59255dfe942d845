"""A library that the estimator takes along in `dependencies`."""
