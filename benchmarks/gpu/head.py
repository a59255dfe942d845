"""Seconds from imports to a trained head, and to the artefact; what its file scores on a CPU"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.gpu.pictures import arguments, pictures, split_of, tell
from sagehound.classifier import onnx_graph
from sagehound.classifier.extractors import load_pixels
from sagehound.classifier.preprocessing import Preprocessing

ONE_JOB = """
import sys, time
import torch
from sagehound.classifier import arguments, channels, torch_job, training
began = time.perf_counter()
fit = training.fit
def told(*given):
    history = fit(*given)
    torch.cuda.synchronize()
    print(f"RESULT trained {time.perf_counter() - began:.2f}", flush=True)
    return history
torch_job.fit = told
given = arguments.parse_arguments("", sys.argv[1:], {})
metrics = torch_job.train(given, channels.find_channels({}, given.training), {}, use_test_split=True)
print(f"RESULT artefact {time.perf_counter() - began:.2f}", flush=True)
print(f"RESULT test {metrics['test']['accuracy']}", flush=True)
print(f"RESULT validation {metrics['validation']['accuracy']}", flush=True)
"""


def job(folder: Path, place: Path, kernels: Path) -> dict[str, float]:
    """One training job in a process of its own; `kernels` is where Triton keeps what it has compiled."""
    command = [sys.executable, "-c", ONE_JOB, "--training", str(folder), "--model_dir", str(place)]
    environment = {**os.environ, "TRITON_CACHE_DIR": str(kernels)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    print(done.stdout, flush=True)
    results = [line.split() for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return {name: float(value) for _, name, value in results}


def score_on_cpu(folder: Path, model: Path) -> float:
    """Top-1 of the exported file on the test split: Pillow and onnxruntime, as an endpoint serves it."""
    split = split_of(folder, "test")
    session = onnx_graph.open_session(model)
    preprocessing: Preprocessing = onnx_graph.read_preprocessing(session)

    def guess(number: int) -> int:
        pixels = load_pixels(split.pictures[number], preprocessing)[None]
        return int(np.argmax(session.run(None, {onnx_graph.INPUT: pixels})[0]))

    with ThreadPoolExecutor() as pool:
        guesses = list(pool.map(guess, range(len(split.pictures))))
    return float((np.array(guesses) == split.labels).mean())


def main() -> None:
    """Train with nothing compiled before, and again with the kernels that the first job left."""
    with pictures(arguments(__doc__)) as folder, tempfile.TemporaryDirectory() as place:
        for number, state in enumerate(("nothing compiled before", "kernels kept on disk", "kernels kept on disk")):
            found = job(folder, Path(place) / f"model-{number}", Path(place) / "kernels")
            tell(f"{state}: trained head after {found['trained']:.2f} s, artefact after {found['artefact']:.2f} s")
        started = time.perf_counter()
        served = score_on_cpu(folder, Path(place) / "model-2" / "model.onnx")
        took = time.perf_counter() - started
        tell(f"test top-1 {found['test']:.4f} on the GPU's features, {served:.4f} as served on a CPU ({took:.1f} s)")


if __name__ == "__main__":
    main()
