"""How a stage of training goes: its recipe, the order of its pictures, its learning rate, and where it stands.

Imports no torch: the loop of numpy (head_training.py) and the loop of torch (training.py) follow the same schedule.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.refusals import JobRefused


class TrainingDiverged(JobRefused, RuntimeError):
    """The loss is no number any more; the text says at which step and what to change."""

    @classmethod
    def at(cls, value: float, progress: "Progress", recipe: "Recipe") -> "TrainingDiverged":
        return cls(
            f"the loss is {value} in epoch {progress.epoch + 1} after {progress.step} steps: "
            f"lower --learning_rate (it is {recipe.learning_rate:g}; --weight_decay is {recipe.weight_decay:g})"
        )


@dataclass(frozen=True)
class Recipe:
    """How one stage is trained."""

    stage: str
    """Names the checkpoint and the lines in the log: head or network."""
    epochs: int
    batch_size: int
    """Pictures a step, over all hosts together."""
    learning_rate: float
    weight_decay: float
    seed: int
    average_kept: float = 0.0
    """Share of the start in the moving average of the weights at the end, which is what is kept; 0: no average."""
    checkpoint_seconds: float = 60.0
    """Longest time between two checkpoints within an epoch; each epoch ends with one."""


@dataclass
class Progress:
    """Where a stage stands: `step` batches of epoch `epoch` are done, with these sums over their pictures."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    right: float = 0.0
    pictures: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def next_epoch(self, record: dict[str, float]) -> None:
        self.history.append(record)
        self.epoch += 1
        self.step = 0
        self.loss_sum = self.right = self.pictures = 0.0


def cosine(step: int, steps: int) -> float:
    """The share of the learning rate at a step of `steps`: half a cosine from 1 to 0 (Loshchilov and Hutter 2017)."""
    return 0.5 * (1.0 + math.cos(math.pi * step / steps))


def global_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The epoch's batches of indices, in an order that (seed, epoch) decides."""
    order = np.random.default_rng((seed, epoch)).permutation(count)
    return [order[start : start + batch_size] for start in range(0, count, batch_size)]


def views_of(indices: NDArray[np.int64], views: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Which of its `views` each picture shows in an epoch: (seed, epoch, picture) decides, whatever host draws it.

    A hash of splitmix64 (Steele et al. 2014) in place of a generator a picture, which would cost more than the step.
    """
    key = np.uint64(np.random.default_rng((seed, epoch, 1)).integers(2**63))
    with np.errstate(over="ignore"):
        mixed = indices.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(views)).astype(np.int64)
