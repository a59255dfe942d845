"""Test top-1 of the best head that a random search finds on frozen features, chosen on the validation split alone.

Run from the project's folder: `python -m benchmarks head_accuracy`. The features are extracted once a backbone, into
the folder that SAGEHOUND_BENCH_CACHE names (a temporary one otherwise). For each of three seeds 24 points are drawn;
the head with the least validation loss is chosen, and the test split is scored with that head only. Said for the
pictures as they are served, and for all extracted views of the training pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in a trial; numpy reads it when it is imported

import numpy as np

from sagehound.classifier import entry_points
from sagehound.classifier.channel_archive import open_feature_channel
from sagehound.classifier.dataset import BadDataset
from sagehound.classifier.feature_channel import FeatureChannel
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.head_training import fit_head
from sagehound.classifier.metrics import evaluate_logits
from sagehound.classifier.schedule import Recipe

PICTURES = Path(__file__).parents[2] / "shared" / "data" / "dogImages"
LEARNING_RATES = (2e-4, 2e-2)
BATCH_SIZES = (32, 64, 128, 256, 512)
WEIGHT_DECAYS = (1e-2, 3.0)
EPOCHS = (4, 6, 9, 12)


@dataclass(frozen=True)
class Found:
    """The head that a search has chosen."""

    recipe: Recipe
    validation: float
    test: float
    seconds: float
    """Of the whole search."""


def channel_of(backbone: str, views: int, data: Path, cache: Path) -> FeatureChannel:
    """The features of a backbone, from the cache, extracted by the job's own entry point where they are missing."""
    folder = cache / f"{backbone}-views-{views}"
    try:
        channel = open_feature_channel(folder, cache, backbone)
        print(f"{backbone}: features with {views} views from the cache")
        return channel
    except BadDataset:
        script = Path(entry_points.__file__).parent / "extract_features.py"
        command = [sys.executable, str(script), "--backbone", backbone, "--views", str(views)]
        environment = {**os.environ, "SM_CHANNEL_TRAINING": str(data), "SM_MODEL_DIR": str(folder)}
        environment.pop("SM_CHANNEL_FEATURES", None)
        started = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        print(f"{backbone}: features with {views} views extracted in {time.perf_counter() - started:.0f} s")
        return open_feature_channel(folder, cache, backbone)


def draw(chance: np.random.Generator, seed: int) -> Recipe:
    """A random point of the search."""

    def logarithmic(bounds: tuple[float, float]) -> float:
        return math.exp(chance.uniform(math.log(bounds[0]), math.log(bounds[1])))

    rate, decay = logarithmic(LEARNING_RATES), logarithmic(WEIGHT_DECAYS)
    return Recipe("head", int(chance.choice(EPOCHS)), int(chance.choice(BATCH_SIZES)), rate, decay, seed)


def search(splits: dict[str, FeatureSet], classes: int, points: int, seed: int) -> Found:
    """The best of so many heads by validation loss, and what it makes of the test split."""
    chance, tried, started = np.random.default_rng(seed), [], time.perf_counter()
    for recipe in [draw(chance, seed) for _ in range(points)]:
        with contextlib.redirect_stdout(io.StringIO()):
            head, history = fit_head(splits["train"], splits["validation"], classes, recipe)
        tried.append((history[-1]["validation:loss"], history[-1]["validation:accuracy"], recipe, head))
    _, accuracy, recipe, head = min(tried, key=lambda one: one[0])
    test = evaluate_logits(head.logits(splits["test"].features), splits["test"].labels)
    return Found(recipe, accuracy, test.accuracy, time.perf_counter() - started)


def report(backbone: str, channel: FeatureChannel, views: int, points: int, seeds: int) -> None:
    """Search with each seed and print what was found."""
    splits = {split: found for split in ("train", "validation", "test") if (found := channel.read(split)) is not None}
    training = splits["train"]
    splits["train"] = FeatureSet(training.names, training.labels, training.features, training.other_views[: views - 1])
    found = [search(splits, len(channel.header.classes), points, seed) for seed in range(seeds)]
    for seed, one in enumerate(found):
        recipe = one.recipe
        print(
            f"  seed {seed}: test {one.test:.4f}  validation {one.validation:.4f}  "
            f"(learning_rate={recipe.learning_rate:.5f} batch_size={recipe.batch_size} "
            f"weight_decay={recipe.weight_decay:.3f} epochs={recipe.epochs}; {points} heads in {one.seconds:.0f} s)",
            flush=True,
        )
    tests = [one.test for one in found]
    print(
        f"{backbone}, {views} view(s): test top-1 median {statistics.median(tests):.4f}, "
        f"{min(tests):.4f} to {max(tests):.4f}; "
        f"validation median {statistics.median(one.validation for one in found):.4f}",
        flush=True,
    )


def main() -> None:
    """Search on the features of each backbone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PICTURES)
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0", "efficientnet_lite2"])
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--points", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if not given.data.is_dir():
        raise SystemExit(f"no pictures at {given.data}: give a folder with train/, valid/ and test/ as --data")
    load = os.getloadavg()[0]
    print(f"{given.points} random points a search, {given.seeds} seeds; load of the machine at the start: {load:.1f}")
    with tempfile.TemporaryDirectory(prefix="sagehound-benchmark-") as place:
        cache = Path(os.environ.get("SAGEHOUND_BENCH_CACHE") or place)
        for backbone in given.backbones:
            channel = channel_of(backbone, given.views, given.data, cache)
            for views in sorted({1, given.views}):
                report(backbone, channel, views, given.points, given.seeds)


if __name__ == "__main__":
    main()
