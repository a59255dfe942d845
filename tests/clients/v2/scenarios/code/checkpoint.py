"""Goes on where the last run's checkpoint ended."""

import json
import os

CHECKPOINTS = "/opt/ml/checkpoints"
path = os.path.join(CHECKPOINTS, "state.json")
first = 0
if os.path.exists(path):
    with open(path) as file:
        first = json.load(file)["epoch"] + 1
print(f"begins at epoch {first}")
for epoch in range(first, first + 3):
    with open(path, "w") as file:
        json.dump({"epoch": epoch}, file)
    print(f"epoch {epoch}")
