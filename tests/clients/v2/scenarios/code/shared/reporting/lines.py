"""The lines that the metric definitions read."""


def report(split, loss):
    """One line for one loss."""
    return f"{split} Loss: {loss:.6f};"
