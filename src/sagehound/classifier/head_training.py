"""The head trained in numpy: the same steps as the loop of torch, in one process, without two seconds of import.

AdamW (Loshchilov and Hutter 2019) on the cross entropy of a linear layer, whose gradient is (softmax - one-hot)^T x.
"""

import math
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.features import FeatureSet
from sagehound.classifier.linear_head import LinearHead
from sagehound.classifier.metrics import evaluate_logits, print_metrics
from sagehound.classifier.schedule import Progress, Recipe, TrainingDiverged, cosine, global_batches, views_of

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """One parameter's optimizer; steps in place, with as few passes over the memory as numpy allows."""

    def __init__(self, parameter: NDArray[np.float32], weight_decay: float) -> None:
        self.parameter = parameter
        self._weight_decay = weight_decay
        # Sums of gradients and of their squares, without the factors 1 - beta: those go into the scalars of a step.
        self._first = np.zeros_like(parameter)
        self._second = np.zeros_like(parameter)
        self._change = np.empty_like(parameter)
        self._steps = 0

    def step(self, gradient: NDArray[np.float32], learning_rate: float) -> None:
        """Move the parameter; `gradient` is used up."""
        self._steps += 1
        scale_first = (1 - BETAS[0]) / (1 - BETAS[0] ** self._steps)
        scale_second = math.sqrt((1 - BETAS[1]) / (1 - BETAS[1] ** self._steps))
        self._first *= BETAS[0]
        self._first += gradient
        gradient *= gradient
        self._second *= BETAS[1]
        self._second += gradient
        change = np.sqrt(self._second, out=self._change)
        change += EPSILON / scale_second
        np.divide(self._first, change, out=change)
        change *= learning_rate * scale_first / scale_second
        if self._weight_decay:
            self.parameter *= 1 - learning_rate * self._weight_decay
        self.parameter -= change


def fit_head(
    training: FeatureSet, validation: FeatureSet, classes: int, recipe: Recipe
) -> tuple[LinearHead, list[dict[str, float]]]:
    """A trained head and one record of metrics an epoch. Raises TrainingDiverged."""
    head = LinearHead.untrained(training.features, classes)
    inputs = _all_views(head, training)
    held_out = head.standardized(validation.features)
    # [feature_count, classes]: the products of a step are a tenth faster than with the matrix the other way round.
    weight = np.ascontiguousarray(head.weight.T)
    layer = (AdamW(weight, recipe.weight_decay), AdamW(head.bias, 0.0))
    progress = Progress()
    while progress.epoch < recipe.epochs:
        started = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is no number is told in words
            _train_one_epoch(layer, inputs, training.labels, recipe, progress)
        seconds = time.perf_counter() - started
        evaluation = evaluate_logits(held_out @ weight + head.bias, validation.labels)
        if not math.isfinite(evaluation.loss):
            raise TrainingDiverged.at(evaluation.loss, progress, recipe)
        pictures = progress.pictures
        record = {
            "train:loss": progress.loss_sum / pictures,
            "train:accuracy": progress.right / pictures,
            **evaluation.named("validation"),
        }
        progress.next_epoch(record)
        where = f"{recipe.stage} epoch {progress.epoch}/{recipe.epochs}, {pictures / seconds:.1f} pictures a second"
        print_metrics(where, record)
    return replace(head, weight=np.ascontiguousarray(weight.T)), progress.history


def _all_views(head: LinearHead, training: FeatureSet) -> NDArray[np.float32]:
    """The standardized features of all views, one view below the other: [views * pictures, feature_count]."""
    count = len(training.labels)
    inputs = np.empty((training.views * count, training.features.shape[1]), np.float32)
    for number, features in enumerate((training.features, *training.other_views)):
        rows = inputs[number * count : (number + 1) * count]
        np.subtract(features, head.mean, out=rows)
        rows /= head.std
    return inputs


def _train_one_epoch(
    layer: tuple[AdamW, AdamW],
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    recipe: Recipe,
    progress: Progress,
) -> None:
    weight, bias = layer
    count = len(labels)
    batches = global_batches(count, recipe.batch_size, recipe.seed, progress.epoch)
    for batch in batches:
        rows = batch
        if len(inputs) > count:
            rows = batch + count * views_of(batch, len(inputs) // count, recipe.seed, progress.epoch)
        learning_rate = recipe.learning_rate * cosine(
            progress.epoch * len(batches) + progress.step, recipe.epochs * len(batches)
        )
        x, y = inputs[rows], labels[batch]
        errors, loss_sum, right = _errors(x @ weight.parameter + bias.parameter, y)
        if not math.isfinite(loss_sum):
            raise TrainingDiverged.at(loss_sum, progress, recipe)
        weight.step(x.T @ errors, learning_rate)
        bias.step(errors.sum(axis=0), learning_rate)
        progress.loss_sum += loss_sum
        progress.right += right
        progress.pictures += len(y)
        progress.step += 1


def _errors(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[NDArray[np.float32], float, int]:
    """The gradient of the mean loss with respect to the logits, the sum of the losses, and how many are right.

    `logits` [N, classes] are used up.
    """
    rows = np.arange(len(labels))
    right = int((logits.argmax(axis=1) == labels).sum())
    logits -= logits.max(axis=1, keepdims=True)
    of_label = logits[rows, labels]
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1, keepdims=True)
    loss_sum = float((np.log(sums[:, 0]) - of_label).sum())
    logits /= sums
    logits[rows, labels] -= 1
    logits /= len(labels)
    return logits, loss_sum, right
