"""What training draws its batches from: features in memory, or pictures decoded on the way."""

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagehound.classifier.augment import augment, random_generator
from sagehound.classifier.dataset import Split
from sagehound.classifier.extractors import load_pixels, usable_cores
from sagehound.classifier.features import FeatureSet
from sagehound.classifier.gpu_examples import GpuExamples, fits_in_memory
from sagehound.classifier.preprocessing import Preprocessing, decode, open_picture
from sagehound.classifier.schedule import views_of

Batch = tuple[Tensor, Tensor]
"""Inputs [N, ...] and labels [N], on the CPU."""


class Examples(Protocol):
    """Labelled inputs that can be drawn by index."""

    def __len__(self) -> int: ...

    def batches(self, slices: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        """One batch for each array of indices; an array may be empty."""

    def on(self, device: torch.device) -> "Examples":
        """The same examples where that device has them at hand: in its own memory, if they fit."""


class FeatureExamples:
    """Features [pictures, feature_count] in memory; with a seed each epoch shows one of a picture's views."""

    def __init__(self, features: FeatureSet, view_seed: int | None = None) -> None:
        views = (features.features,) if view_seed is None else (features.features, *features.other_views)
        self._views = [torch.from_numpy(np.ascontiguousarray(view)) for view in views]
        self._labels = torch.from_numpy(features.labels)
        self._seed = view_seed

    def __len__(self) -> int:
        return len(self._labels)

    def batches(self, slices: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        for indices in slices:
            chosen = torch.from_numpy(indices).to(self._labels.device)
            yield self._inputs(indices, chosen, epoch), self._labels[chosen]

    def on(self, device: torch.device) -> "FeatureExamples":
        """The same features in the memory of a device."""
        if self._labels.device == device:
            return self
        there = copy.copy(self)
        there._views, there._labels = [view.to(device) for view in self._views], self._labels.to(device)
        return there

    def _inputs(self, indices: NDArray[np.int64], chosen: Tensor, epoch: int) -> Tensor:
        if self._seed is None or len(self._views) == 1:
            return self._views[0][chosen]
        views = views_of(indices, len(self._views), self._seed, epoch)
        rows = [self._views[view][index] for view, index in zip(views.tolist(), indices.tolist(), strict=True)]
        return torch.stack(rows) if rows else self._views[0][chosen]


class PictureExamples:
    """Pictures on disk; with a seed as random views of themselves, without as serving sees them."""

    def __init__(self, split: Split, preprocessing: Preprocessing, augment_seed: int | None = None) -> None:
        self._split = split
        self._preprocessing = preprocessing
        self._seed = augment_seed

    def __len__(self) -> int:
        return len(self._split.pictures)

    def batches(self, slices: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        """Decode in threads, one batch ahead of the network."""
        labels = self._split.labels
        with ThreadPoolExecutor(usable_cores(), "decode") as pool:
            ahead = [pool.submit(self._load, int(i), epoch) for i in slices[0]] if len(slices) else []
            for number, indices in enumerate(slices):
                current = ahead
                following = slices[number + 1] if number + 1 < len(slices) else ()
                ahead = [pool.submit(self._load, int(i), epoch) for i in following]
                size = self._preprocessing.size
                pixels = np.empty((len(current), 3, size, size), dtype=np.float32)
                for row, future in enumerate(current):
                    pixels[row] = future.result()
                yield torch.from_numpy(pixels), torch.from_numpy(labels[indices])

    def on(self, device: torch.device) -> Examples:
        """The same pictures, decoded and turned into views by a GPU that has room for them."""
        roomy = device.type == "cuda" and fits_in_memory(len(self), self._preprocessing, device, self._seed)
        return GpuExamples(self._split, self._preprocessing, device, self._seed) if roomy else self

    def _load(self, index: int, epoch: int) -> NDArray[np.float32]:
        picture = self._split.pictures[index]
        if self._seed is None:
            return load_pixels(picture, self._preprocessing)
        with open_picture(picture.path) as opened:
            # Decoded at up to twice the final size: a crop of a third of the area still has the pixels it needs.
            view = decode(opened, 2 * self._preprocessing.size)
            return augment(view, self._preprocessing, random_generator(self._seed, epoch, index))
