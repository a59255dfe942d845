"""The average of the weights is what a training evaluates and keeps, also where it goes on from a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from sagehound.classifier.checkpoint import Checkpoints
from sagehound.classifier.distributed import Group
from sagehound.classifier.examples import FeatureExamples
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.network import Head
from sagehound.classifier.schedule import Recipe
from sagehound.classifier.training import fit


def examples() -> FeatureExamples:
    random = np.random.default_rng(0)
    labels = np.arange(40, dtype=np.int64) % 4
    features = random.normal(size=(40, 8)).astype(np.float32) + labels[:, None]
    return FeatureExamples(FeatureSet(tuple(f"{i:02d}" for i in range(40)), labels, features.astype(np.float32)), 0)


def trained(recipe: Recipe, folder: Path | None) -> tuple[Head, list[list[torch.Tensor]], list[dict[str, float]]]:
    """The head, its parameters after each step, and the history."""
    head = Head(8, 4)
    torch.nn.init.zeros_(head.linear.weight)
    torch.nn.init.zeros_(head.linear.bias)
    steps: list[list[torch.Tensor]] = []
    hook = register_optimizer_step_post_hook(lambda *_: steps.append([p.detach().clone() for p in head.parameters()]))
    try:
        history = fit(head, examples(), examples(), recipe, Checkpoints(folder, "x"), Group(), lambda _: None)
    finally:
        hook.remove()
    return head, steps, history


def test_what_is_kept_is_the_moving_average_of_the_weights_after_each_step() -> None:
    head, steps, _ = trained(Recipe("network", 2, 16, 0.05, 0.01, 0, average_kept=0.9**6), None)
    assert len(steps) == 6
    means = [torch.zeros(4, 8), torch.zeros(4)]
    for step in steps:
        means = [0.9 * mean + 0.1 * value for mean, value in zip(means, step, strict=True)]
    for mean, kept, last in zip(means, head.parameters(), steps[-1], strict=True):
        assert torch.allclose(mean, kept, atol=1e-6)
        assert not torch.allclose(last, kept, atol=1e-3)


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_training_that_goes_on_from_a_checkpoint_ends_with_the_same_average(tmp_path: Path, kept: float) -> None:
    whole, _, history = trained(Recipe("network", 4, 16, 0.05, 0.01, 0, average_kept=kept), None)
    stopped = tmp_path / "stopped"

    class Stop(Exception):
        pass

    class Stopping(Checkpoints):
        def save(self, stage: str, state: dict[str, object]) -> None:
            super().save(stage, state)
            raise Stop

    recipe = Recipe("network", 4, 16, 0.05, 0.01, 0, average_kept=kept)
    stopped.mkdir()
    with pytest.raises(Stop):
        head = Head(8, 4)
        torch.nn.init.zeros_(head.linear.weight)
        torch.nn.init.zeros_(head.linear.bias)
        fit(head, examples(), examples(), recipe, Stopping(stopped, "x"), Group(), lambda _: None)
    again, steps, told = trained(recipe, stopped)
    assert len(steps) == 9, "three epochs were left"
    losses = [record["validation:loss"] for record in history]
    assert [record["validation:loss"] for record in told] == pytest.approx(losses)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
