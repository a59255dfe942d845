"""Trainings that the tests run in several processes at once and in one: started by path, told by SM_* variables.

    group_worker.py FOLDER PHASE...

Each phase writes what it found to FOLDER/PHASE-RANK.pt.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sagehound.classifier import distributed
from sagehound.classifier.checkpoint import Checkpoints
from sagehound.classifier.distributed import Group, join
from sagehound.classifier.network import Backbone, Classifier, Head
from sagehound.classifier.preprocessing import Preprocessing
from sagehound.classifier.schedule import Recipe
from sagehound.classifier.training import evaluate, fit

FEATURES, CLASSES, SIDE = 12, 4, 8
TRAINING, VALIDATION = 53, 17
"""Neither divides by five; the last batch of an epoch has three pictures, fewer than there are hosts."""
RECIPE = Recipe("stage", epochs=3, batch_size=25, learning_rate=0.01, weight_decay=0.01, seed=3, checkpoint_seconds=0.0)
STOPPED_AFTER = 5
"""Batches after which an interrupted training ends: the second one of the second epoch."""
NOWHERE = Checkpoints(None, "")


class PowerCut(Exception):
    """What ends a training in the middle of an epoch."""


class Blobs:
    """Examples in memory, which note the indices that are asked for and can end after so many batches."""

    def __init__(self, seed: int, count: int, shape: tuple[int, ...], kind: torch.dtype, batches: int = 10**6) -> None:
        chance = np.random.default_rng(seed)
        self.labels = torch.arange(count) % CLASSES
        centres = np.random.default_rng(99).normal(0, 2, (CLASSES, *shape))
        self.inputs = torch.from_numpy(centres[self.labels.numpy()] + chance.normal(0, 1, (count, *shape))).to(kind)
        self.seen: list[tuple[int, int]] = []
        self.batches_left = batches

    def __len__(self) -> int:
        return len(self.labels)

    def on(self, device: torch.device) -> Blobs:
        """Where they are."""
        return self

    def batches(self, slices: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in slices:
            if self.batches_left == 0:
                raise PowerCut
            self.batches_left -= 1
            self.seen += [(epoch, int(index)) for index in indices]
            yield self.inputs[indices], self.labels[indices]


def new_head(kind: torch.dtype) -> tuple[nn.Module, tuple[int, ...]]:
    head = Head(FEATURES, CLASSES)
    head.standardize(Blobs(0, TRAINING, (FEATURES,), torch.float32).inputs.numpy())
    return head.to(kind), (FEATURES,)


def new_network(kind: torch.dtype) -> tuple[nn.Module, tuple[int, ...]]:
    """The whole classifier on a small backbone with the parts that real ones have."""
    body = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
        nn.Conv2d(6, FEATURES, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    backbone = Backbone("tiny", body, FEATURES, Preprocessing(SIDE), (0.0,) * 3, (1.0,) * 3)
    return Classifier(backbone, Head(FEATURES, CLASSES)).to(kind), (3, SIDE, SIDE)


MAKERS: dict[str, Callable[[torch.dtype], tuple[nn.Module, tuple[int, ...]]]] = {
    "head": new_head,
    "network": new_network,
}


def trained(
    kind_of_module: str,
    kind: torch.dtype,
    group: Group,
    checkpoints: Checkpoints = NOWHERE,
    batches: int = 10**6,
) -> dict[str, Any]:
    """Train as production does; what comes back is comparable whatever the number of processes was."""
    # A network of this size is small enough for one message; real ones are not.
    distributed.ONE_MESSAGE = 0 if kind_of_module == "network" else 1 << 20
    torch.manual_seed(1)
    module, shape = MAKERS[kind_of_module](kind)
    module.to(group.device)
    training = Blobs(0, TRAINING, shape, kind, batches)
    validation = Blobs(1, VALIDATION, shape, kind)
    history: Any = None
    lines: list[str] = []
    try:
        history = fit(module, training, validation, RECIPE, checkpoints, group, lines.append)
    except PowerCut:
        lines.append("power cut")
    _, labels, logits = evaluate(module, validation, group) if history else (None, None, None)
    return {
        "parameters": {name: value.double().cpu() for name, value in module.state_dict().items()},
        "history": history,
        "labels": None if labels is None else labels.tolist(),
        "logits": logits,
        "seen": training.seen,
        "device": str(group.device),
        "compiler_imported": "torch._dynamo" in sys.modules,
        "wrapper": type(group.wrap(module)).__name__,
        "averaged_by": "nccl" if group.gradients is not None else "gloo",
        "lines": lines,
    }


def run_phase(phase: str, folder: Path, group: Group) -> dict[str, Any]:
    """`head-float32` trains; `cut-5` is interrupted and leaves a checkpoint; `resume-5` goes on from `cut-5`'s."""
    what, _, rest = phase.partition("-")
    if what in MAKERS:
        return trained(what, getattr(torch, rest), group)
    # Only the main host's checkpoint counts; another host's folder is its own, as in a job.
    place = folder / f"checkpoints-{phase}-of-{group.world}-{group.rank}"
    place.mkdir()
    if what == "resume" and group.is_main:
        shutil.copy(folder / f"checkpoints-cut-{rest}-of-{rest}-0" / "stage.pt", place)
    batches = STOPPED_AFTER if what == "cut" else 10**6
    return trained("network", torch.float64, group, Checkpoints(place, "this one"), batches)


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with join(os.environ) as group:
        for phase in sys.argv[2:]:
            torch.save(run_phase(phase, folder, group), folder / f"{phase}-{group.rank}.pt")


if __name__ == "__main__":
    main()
