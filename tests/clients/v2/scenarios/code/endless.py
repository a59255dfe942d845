"""Trains until it is told to end, and saves what it has then."""

import os
import signal
import time


def save(*_):
    """What SIGTERM asks for."""
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "half.txt"), "w") as file:
        file.write("as far as I came")
    print("told to end", flush=True)
    raise SystemExit(0)


signal.signal(signal.SIGTERM, save)
print("begun", flush=True)
while True:
    time.sleep(0.1)
