"""Each figure that we claim, with its peer, measured in one run. `python -m benchmarks` runs them all in turn."""
