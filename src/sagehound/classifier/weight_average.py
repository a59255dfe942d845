"""The moving average of a network's weights while it is trained: what is evaluated, and kept, in their place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

KEPT = 0.53
"""Share of the average at a training's end that its start makes up. Fine-tuning EfficientNet-Lite0 on 120 breeds of
dogs (three epochs, batches of 64, rate 3e-4) ended at a validation loss of .553 so (315 steps with a decay of .998),
.585 with a decay of .99 and .594 without any; the head alone: .545."""


def decay_of(kept: float, steps: int) -> float:
    """The share of the average that each of `steps` steps keeps, so that `kept` of the start is left after them all.

    Tied to the length of the training: with a fixed decay a short one would move next to nothing, a long one forget
    where it came from, which interpolating the two ends is good for (Wortsman et al. 2022).
    """
    return float(kept ** (1 / steps)) if kept and steps else 0.0


class WeightAverage:
    """An exponential moving average of the trainable parameters (Polyak and Juditsky 1992); a decay of 0 is none.

    All hosts have the same parameters after each step, so they have the same average without a word.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._means = [parameter.detach().clone() for parameter in self._parameters] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Take up the parameters as they are after a step."""
        if self._means:
            torch._foreach_lerp_(self._means, [p.detach() for p in self._parameters], 1 - self._decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module with the average in place of its parameters, for an evaluation."""
        kept = [parameter.detach().clone() for parameter in self._parameters] if self._means else []
        self.keep()
        try:
            yield
        finally:
            self._set(kept)

    def keep(self) -> None:
        """Make the average the module's parameters: the end of a training."""
        self._set(self._means)

    def state(self) -> list[Tensor]:
        """What a checkpoint needs of it."""
        return self._means

    def load(self, means: list[Tensor]) -> None:
        """Go on from a checkpoint's."""
        self._means = [mean.to(p.device) for mean, p in zip(means, self._parameters, strict=bool(means))]

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._parameters if values else [], values, strict=True):
            parameter.copy_(value)
