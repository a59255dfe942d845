"""What several GPUs of a machine bring: the feature pass and fine-tuning on one, two, four ... of them"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.gpu.network import epochs, pure_rate
from benchmarks.gpu.pictures import all_pictures, arguments, pictures, split_of, tell
from sagehound.classifier.dataset import Picture
from sagehound.classifier.distributed import join
from sagehound.classifier.gpu_features import GpuExtractor
from sagehound.classifier.network import create_backbone

TIMES = 8
"""How often the feature pass goes over the pictures, so that it takes seconds."""
BATCH = 256
"""Pictures a step on each GPU."""


def measure(folder: Path) -> None:
    """This process's part; the first one tells the figures of all."""
    with join(os.environ) as group:
        chosen: list[Picture] = (all_pictures(folder) * TIMES)[group.rank :: group.world]
        extractor = GpuExtractor(create_backbone("efficientnet_lite0"), group.device)
        extractor.rows(chosen[:4096])
        took = []
        for _ in range(3):
            group.gather(None)
            started = time.perf_counter()
            extractor.rows(chosen)
            group.gather(None)
            took.append(time.perf_counter() - started)
        features = sum(group.gather(len(chosen))) / statistics.median(took)
        pure = sum(group.gather(pure_rate(BATCH, group)))
        epochs(folder, BATCH * group.world, group)  # libraries get ready
        trained = epochs(folder, BATCH * group.world, group)
        count = len(split_of(folder, "train").pictures)
        later = count * (len(trained) - 1) / sum(trained[1:])
        if group.is_main:
            print(f"FIGURES {features} {pure} {later} {count * len(trained) / sum(trained)}", flush=True)


def main() -> None:
    """Measure with each number of GPUs and compare."""
    if "RANK" in os.environ:
        measure(arguments(__doc__))
        return
    with pictures(arguments(__doc__)) as folder:
        numbers = [2**power for power in range(8) if 2**power <= torch.cuda.device_count()]
        first: list[float] = []
        tell(f"feature pass over {TIMES} x all pictures; fine-tuning with {BATCH} pictures a step on each GPU")
        for number in numbers:
            launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
            command = [*launch, "-m", "benchmarks.gpu.scaling", "--data", str(folder)]
            # Each process takes its share of the cores, as it would alone on a smaller machine.
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            line = next(line for line in output.splitlines() if line.startswith("FIGURES"))
            figures = [float(value) for value in line.split()[1:]]
            first = first or figures
            names = ("features", "steps on pixels there", "fine-tuning after the first epoch", "all epochs")
            tell(
                f"{number} GPUs: "
                + "; ".join(
                    f"{name} {value:,.0f} a second ({value / number / one:.2f})"
                    for name, value, one in zip(names, figures, first, strict=True)
                )
            )


if __name__ == "__main__":
    main()
