"""The linear head as arrays: standardization, weights, and the scores that they give. Imports no torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 512
"""Rows that are summed in single precision before they are added up in double."""


@dataclass(frozen=True)
class LinearHead:
    """Features [N, feature_count] -> logits [N, classes]: weight (f - mean) / std + bias."""

    mean: NDArray[np.float32]
    """[feature_count], of the training split's features as they are served."""
    std: NDArray[np.float32]
    weight: NDArray[np.float32]
    """[classes, feature_count]"""
    bias: NDArray[np.float32]

    @classmethod
    def untrained(cls, features: NDArray[np.float32], classes: int) -> "LinearHead":
        """A head for features like `features` [N, feature_count]: all scores are 0, so its loss is that of guessing.

        The loss is convex in weights and bias, so there is nothing to gain from a random start.
        """
        mean, std = standardization(features)
        count = features.shape[1]
        return cls(mean, std, np.zeros((classes, count), np.float32), np.zeros(classes, np.float32))

    def standardized(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        standard = np.subtract(features, self.mean)
        standard /= self.std
        return standard

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores [N, classes] of features [N, feature_count]."""
        return self.standardized(features) @ self.weight.T + self.bias

    def folded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Standardization and linear layer as one: W (f - mean) / std + b = (W / std) f + (b - W mean / std)."""
        weight = self.weight.astype(np.float64) / self.std
        bias = self.bias - weight @ self.mean
        return weight.astype(np.float32), bias.astype(np.float32)

    def state(self) -> dict[str, NDArray[np.float32]]:
        """The arrays under the names that they have in model.pth."""
        return {
            "head.feature_mean": self.mean,
            "head.feature_std": self.std,
            "head.linear.weight": self.weight,
            "head.linear.bias": self.bias,
        }


def standardization(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation [feature_count] of features [N, feature_count]; 1 for a feature that does not vary."""
    mean = _column_sums(features) / len(features)
    centred = features - mean.astype(np.float32)
    centred *= centred
    std = np.sqrt(_column_sums(centred) / len(features))
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)


def _column_sums(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums over the rows: numpy adds row after row, and thousands of them would cost single precision its digits."""
    blocks = [values[start : start + _BLOCK].sum(axis=0) for start in range(0, len(values), _BLOCK)]
    sums: NDArray[np.float64] = np.sum(blocks, axis=0, dtype=np.float64)
    return sums
