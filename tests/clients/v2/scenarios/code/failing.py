"""Fails as scripts do: in the middle, with a traceback."""

print("so far so good")
raise ValueError("expected 3 channels, got 1")
