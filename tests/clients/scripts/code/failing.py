# Fails as scripts do: an exception far inside, after it has printed something.
import os
import sys


def load(folder):
    print(f"looking into {folder}: {os.listdir(folder)}")
    sys.stdout.flush()
    raise FileNotFoundError(f"Found no valid file for the classes in {folder}/train. Supported extensions are: .jpg")


load(os.environ["SM_CHANNEL_TRAINING"])
