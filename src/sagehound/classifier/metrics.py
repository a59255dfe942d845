"""The figures of a training: the lines that announce them, the regexes that read those lines, and their arithmetic.

Imports no torch, so that whoever creates a training job can take METRIC_DEFINITIONS from here. All figures are per
picture: a loss does not change with the batch size, and a picture counts the same in a short last batch.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

METRIC_NAMES = (
    "train:loss",
    "train:accuracy",
    "validation:loss",
    "validation:accuracy",
    "validation:top5",
    "test:loss",
    "test:accuracy",
    "test:top5",
)
METRIC_DEFINITIONS: list[dict[str, str]] = [
    {"Name": name, "Regex": rf"\b{name}=([0-9]+\.[0-9]+(?:e[-+][0-9]+)?)"} for name in METRIC_NAMES
]
OBJECTIVE = "validation:loss"
"""What a tuner should minimize: per picture, on the validation split, never on the test split."""


def print_metrics(where: str, values: Mapping[str, float], stream: TextIO | None = None) -> None:
    """Print one line of metrics that METRIC_DEFINITIONS read.

    Raises KeyError for a name that no definition reads: a metric nobody can see would be lost silently.
    """
    for name in values:
        if name not in METRIC_NAMES:
            raise KeyError(f"{name} is not among METRIC_NAMES")
    figures = " ".join(f"{name}={value:.6f}" for name, value in values.items())
    print(f"{where}: {figures}", file=stream or sys.stdout, flush=True)


@dataclass(frozen=True)
class Evaluation:
    """How well scores match labels over some pictures."""

    pictures: int
    loss: float
    """Mean cross entropy in nats per picture."""
    accuracy: float
    top5: float
    """Share of pictures whose class is among the five (or all, if fewer) highest scores."""

    def named(self, split: str) -> dict[str, float]:
        return {f"{split}:loss": self.loss, f"{split}:accuracy": self.accuracy, f"{split}:top5": self.top5}

    def to_json(self) -> dict[str, float]:
        return {"pictures": self.pictures, "loss": self.loss, "accuracy": self.accuracy, "top5": self.top5}


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities [N, classes] of logits [N, classes]."""
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def evaluate_logits(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Evaluation:
    """Loss, accuracy and top-5 accuracy of logits [N, classes] against labels [N]."""
    values = logits.astype(np.float64)
    top = values.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(values - top).sum(axis=1)) + top[:, 0]
    right = values[np.arange(len(labels)), labels]
    # The rank counts the classes that score higher; a tie with an earlier class counts too, as argmax resolves it.
    higher = (values > right[:, None]).sum(axis=1)
    tied_before = ((values == right[:, None]) & (np.arange(values.shape[1]) < labels[:, None])).sum(axis=1)
    rank = higher + tied_before
    return Evaluation(
        pictures=len(labels),
        loss=float((log_sum - right).mean()),
        accuracy=float((rank == 0).mean()),
        top5=float((rank < 5).mean()),
    )


def confusion(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts [classes, classes]: row = true class, column = predicted class."""
    counts = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def per_class(counts: NDArray[np.int64], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """For each class: pictures, how many were right, recall, precision, and what it is most often taken for."""
    rows = []
    for index, name in enumerate(names):
        row, column = counts[index], counts[:, index]
        right, pictures, predicted = int(row[index]), int(row.sum()), int(column.sum())
        wrong = row.copy()
        wrong[index] = 0
        rows.append(
            {
                "class": name,
                "pictures": pictures,
                "right": right,
                "recall": right / pictures if pictures else None,
                "precision": right / predicted if predicted else None,
                "most_confused_with": names[int(wrong.argmax())] if wrong.any() else None,
            }
        )
    return rows


def calibration(logits: NDArray[np.float32], labels: NDArray[np.int64], bins: int = 15) -> dict[str, Any]:
    """How far the confidence in the best class can be believed: by bins of confidence, and as one figure.

    `ece` is the expected calibration error (Naeini et al. 2015; 15 bins as in Guo et al. 2017): the distance between
    confidence and accuracy of each bin, weighted by its pictures. A bin holds low < confidence <= high; the figures of
    a bin without pictures are None.
    """
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    pictures = np.bincount(place, minlength=bins)
    filled = np.maximum(pictures, 1)
    confidences = np.bincount(place, confidence, bins) / filled
    accuracies = np.bincount(place, right, bins) / filled
    rows = [
        {
            "low": index / bins,
            "high": (index + 1) / bins,
            "pictures": int(pictures[index]),
            "confidence": float(confidences[index]) if pictures[index] else None,
            "accuracy": float(accuracies[index]) if pictures[index] else None,
        }
        for index in range(bins)
    ]
    return {"ece": float((pictures * np.abs(confidences - accuracies)).sum() / max(len(labels), 1)), "bins": rows}
