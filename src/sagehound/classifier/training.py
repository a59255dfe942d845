"""Training: one epoch, an evaluation, and the loop around them that can be killed at any moment."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sagehound.classifier.checkpoint import Checkpoints, Rhythm
from sagehound.classifier.distributed import Group
from sagehound.classifier.examples import Examples
from sagehound.classifier.gpu_steps import GpuSteps
from sagehound.classifier.metrics import Evaluation, evaluate_logits, print_metrics
from sagehound.classifier.network import parameter_groups
from sagehound.classifier.optimizer import AdamW
from sagehound.classifier.schedule import Progress, Recipe, TrainingDiverged, cosine, global_batches
from sagehound.classifier.weight_average import WeightAverage, decay_of

EVALUATION_BATCH = 64
GPU_STEPS = 32
"""Steps on a GPU between two looks at their losses."""
Done = tuple[Tensor, Tensor, int]
"""A finished step: loss summed over its pictures, how many are right, how many there are."""


def train_one_epoch(
    module: nn.Module,
    examples: Examples,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    progress: Progress,
    group: Group,
    after_step: Callable[[], None],
    gpu_steps: GpuSteps | None = None,
) -> None:
    """Train the rest of the epoch where `progress` stands, and count into it.

    `module` comes from `group.wrap`, so its gradients are averaged over processes; `gpu_steps` does that itself.
    Raises TrainingDiverged.
    """
    module.train()
    batches = global_batches(len(examples), recipe.batch_size, recipe.seed, progress.epoch)
    shares = [batch[group.slice(len(batch))] for batch in batches[progress.step :]]
    first_rates = [rate["initial_lr"] for rate in optimizer.param_groups]
    done: list[Done] = []
    for inputs, labels in examples.batches(shares, progress.epoch):
        step = progress.step + len(done)
        pictures = len(batches[step])
        share = cosine(progress.epoch * len(batches) + step, recipe.epochs * len(batches))
        for param_group, rate in zip(optimizer.param_groups, first_rates, strict=True):
            param_group["lr"] = rate * share
        if gpu_steps is not None:
            done.append((*gpu_steps(inputs.to(group.device), labels.to(group.device), pictures), len(labels)))
        else:
            done.append((*_step(module, inputs, labels, optimizer, group, pictures), len(labels)))
        # To look at a GPU's result is to wait for it, and to leave it without work meanwhile.
        if gpu_steps is None or len(done) == GPU_STEPS:
            _count(done, progress, recipe)
            after_step()
    _count(done, progress, recipe)


def _step(
    module: nn.Module, inputs: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, group: Group, pictures: int
) -> tuple[Tensor, Tensor]:
    """Train on this process's share of a batch of `pictures`: its loss summed, and how many are right."""
    logits: Tensor = module(inputs.to(group.device))
    labels = labels.to(group.device)
    loss_sum = nn.functional.cross_entropy(logits, labels, reduction="sum")
    optimizer.zero_grad(set_to_none=True)
    # DistributedDataParallel takes the mean over processes; times world over the global count it is the mean
    # over pictures, also where the shares are unequal.
    (loss_sum * (group.world / pictures)).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss_sum.detach(), (logits.argmax(1) == labels).sum()


def _count(done: list[Done], progress: Progress, recipe: Recipe) -> None:
    """Count finished steps into `progress` and forget them. Raises TrainingDiverged."""
    if not done:
        return
    losses, right = (torch.stack(column).tolist() for column in list(zip(*done, strict=True))[:2])
    for value, correct, (_, _, pictures) in zip(losses, right, done, strict=True):
        if not math.isfinite(value):
            raise TrainingDiverged.at(value, progress, recipe)
        progress.loss_sum += value
        progress.right += correct
        progress.pictures += pictures
        progress.step += 1
    done.clear()


@torch.inference_mode()
def evaluate(module: nn.Module, examples: Examples, group: Group) -> tuple[Evaluation, NDArray[np.int64], Tensor]:
    """Per-picture figures over all examples, their labels [N], and logits [N, classes] on the CPU, on every process."""
    module.eval()
    examples = examples.on(group.device)
    mine = np.arange(len(examples), dtype=np.int64)[group.slice(len(examples))]
    slices = [mine[start : start + EVALUATION_BATCH] for start in range(0, len(mine), EVALUATION_BATCH)]
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    for inputs, targets in examples.batches(slices, 0):
        logits.append(module(inputs.to(group.device)).float().cpu())
        labels.append(targets.cpu())
    shares = group.gather((logits, labels))
    all_logits = torch.cat([part for share, _ in shares for part in share])
    all_labels: NDArray[np.int64] = torch.cat([part for _, share in shares for part in share]).numpy()
    return evaluate_logits(all_logits.numpy(), all_labels), all_labels, all_logits


def fit(
    module: nn.Module,
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    checkpoints: Checkpoints,
    group: Group,
    say: Callable[[str], None],
) -> list[dict[str, float]]:
    """Train `module` in place from its checkpoint, if there is one; one record of metrics an epoch comes back."""
    torch.manual_seed(recipe.seed)
    optimizer = _optimizer(module, recipe, group)
    steps = recipe.epochs * math.ceil(len(training) / recipe.batch_size)
    average = WeightAverage(module, decay_of(recipe.average_kept, steps))
    progress = _resume(module, optimizer, average, recipe, checkpoints, group, say)
    optimizer.register_step_post_hook(lambda *_: average.update())
    training, validation = training.on(group.device), validation.on(group.device)
    gpu_steps = GpuSteps(module, optimizer, group) if group.device.type == "cuda" else None
    wrapped = module if gpu_steps else group.wrap(module)
    rhythm = Rhythm(group, recipe.checkpoint_seconds)
    kept = group.broadcast(checkpoints.folder is not None)

    def save_sometimes() -> None:
        if kept and rhythm.due():
            _save(module, optimizer, average, recipe, checkpoints, progress, group)

    while progress.epoch < recipe.epochs:
        started, already = time.perf_counter(), progress.pictures
        train_one_epoch(wrapped, training, optimizer, recipe, progress, group, save_sometimes, gpu_steps)
        seconds = time.perf_counter() - started
        with average.applied():
            evaluation, _, _ = evaluate(module, validation, group)
        if not math.isfinite(evaluation.loss):
            raise TrainingDiverged.at(evaluation.loss, progress, recipe)
        loss, right, pictures, done = _sum(group, progress, progress.pictures - already)
        record = {"train:loss": loss / pictures, "train:accuracy": right / pictures, **evaluation.named("validation")}
        progress.next_epoch(record)
        if group.is_main:
            where = f"{recipe.stage} epoch {progress.epoch}/{recipe.epochs}, {done / seconds:.1f} pictures a second"
            print_metrics(where, record)
        if kept:
            _save(module, optimizer, average, recipe, checkpoints, progress, group)
            rhythm.saved()
    average.keep()
    return progress.history


def _sum(group: Group, progress: Progress, done: float) -> Sequence[float]:
    figures = group.gather((progress.loss_sum, progress.right, progress.pictures, done))
    return [sum(column) for column in zip(*figures, strict=True)]


def _optimizer(module: nn.Module, recipe: Recipe, group: Group) -> torch.optim.Optimizer:
    groups = [
        {"params": g.parameters, "lr": g.learning_rate, "initial_lr": g.learning_rate, "weight_decay": g.weight_decay}
        for g in parameter_groups(module, recipe.learning_rate, recipe.weight_decay)
    ]
    return AdamW(groups, fused=True if group.device.type == "cuda" else None)


def _save(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    recipe: Recipe,
    checkpoints: Checkpoints,
    progress: Progress,
    group: Group,
) -> None:
    """Write a checkpoint on the main host; any number of hosts can go on from it, also within an epoch."""
    loss_sum, right, pictures, _ = _sum(group, progress, 0.0)
    if not group.is_main:
        return
    sums = {"loss_sum": loss_sum, "right": right, "pictures": pictures}
    state: dict[str, Any] = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.state(),
        "progress": vars(progress) | sums | {"history": list(progress.history)},
    }
    checkpoints.save(recipe.stage, state)


def _resume(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    recipe: Recipe,
    checkpoints: Checkpoints,
    group: Group,
    say: Callable[[str], None],
) -> Progress:
    """Take up the main host's checkpoint on all hosts."""
    state, reason = group.broadcast(checkpoints.load(recipe.stage) if group.is_main else None)
    if reason:
        say(reason)
    if state is None:
        return Progress()
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    average.load(state["average"])
    progress = Progress(**state["progress"])
    if not group.is_main:
        progress.loss_sum = progress.right = progress.pictures = 0.0  # the main host has the sums of all
    say(f"{recipe.stage}: resumed after epoch {progress.epoch}, step {progress.step} of {recipe.epochs} epochs")
    return progress
