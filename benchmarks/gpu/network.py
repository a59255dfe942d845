"""Pictures a second of fine-tuning the whole network, beside the same steps on pixels that are there already"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from benchmarks.gpu.pictures import arguments, pictures, seconds, split_of, tell
from sagehound.classifier.distributed import Group
from sagehound.classifier.gpu_examples import GpuExamples
from sagehound.classifier.gpu_steps import GpuSteps
from sagehound.classifier.network import Classifier, Head, create_backbone, parameter_groups
from sagehound.classifier.optimizer import AdamW
from sagehound.classifier.schedule import Progress, Recipe
from sagehound.classifier.training import train_one_epoch

EPOCHS = 3


def prepared(classes: int, group: Group) -> tuple[Classifier, AdamW]:
    """A network to fine-tune and its optimizer."""
    backbone = create_backbone("efficientnet_lite0")
    classifier = Classifier(backbone, Head(backbone.feature_count, classes)).to(group.device)
    classifier.backbone.unfreeze()
    groups = [
        {"params": g.parameters, "lr": g.learning_rate, "initial_lr": g.learning_rate, "weight_decay": g.weight_decay}
        for g in parameter_groups(classifier, 1e-4, 1e-2)
    ]
    classifier.train()
    return classifier, AdamW(groups, fused=True)


def pure_rate(batch: int, group: Group) -> float:
    """Pictures a second of this process's steps on one batch of random pixels."""
    classifier, optimizer = prepared(120, group)
    steps = GpuSteps(classifier, optimizer, group)
    pixels = 255 * torch.rand(batch, 3, 224, 224, device=group.device, dtype=torch.float16)
    labels = torch.randint(0, 120, (batch,), device=group.device)
    return batch / seconds(lambda: steps(pixels, labels, batch * group.world), 20, 5)


def epochs(folder: Path, batch: int, group: Group) -> list[float]:
    """Seconds of each epoch from files, for batches of `batch` pictures over all processes."""
    split = split_of(folder, "train")
    classifier, optimizer = prepared(int(split.labels.max()) + 1, group)
    steps = GpuSteps(classifier, optimizer, group)
    examples = GpuExamples(split, classifier.backbone.preprocessing, group.device, augment_seed=0)
    recipe = Recipe("network", EPOCHS, batch, 1e-4, 1e-2, 0)
    progress, took = Progress(), []
    for _ in range(EPOCHS):
        torch.cuda.synchronize()
        group.gather(None)
        started = time.perf_counter()
        train_one_epoch(classifier, examples, optimizer, recipe, progress, group, lambda: None, steps)
        torch.cuda.synchronize()
        group.gather(None)
        took.append(time.perf_counter() - started)
        progress.next_epoch({})
    return took


def main() -> None:
    """Measure two sizes of batch."""
    group = Group(device=torch.device("cuda", 0))
    with pictures(arguments(__doc__)) as folder:
        count = len(split_of(folder, "train").pictures)
        epochs(folder, 256, group)  # libraries and kernels get ready
        for batch in (64, 256):
            pure = pure_rate(batch, group)
            took = epochs(folder, batch, group)
            rates = ", ".join(f"{count / one:,.0f}" for one in took)
            tell(f"batches of {batch}: {pure:,.0f} pictures a second on pixels that are there already")
            tell(f"  from files, by epoch: {rates} (in the first the pictures are decoded and a step is recorded)")
            whole, later = EPOCHS * count / sum(took) / pure, (EPOCHS - 1) * count / sum(took[1:]) / pure
            tell(f"  share: {whole:.2f} over {EPOCHS} epochs, {later:.2f} after the first")


if __name__ == "__main__":
    main()
