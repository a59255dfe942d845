"""Pictures for training on a GPU: decoded once, kept in its memory, and seen as random views that are made there."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagehound.classifier.dataset import Picture, Split
from sagehound.classifier.extractors import usable_cores
from sagehound.classifier.gpu_augment import draws, random_views
from sagehound.classifier.gpu_decode import Pipeline, decode
from sagehound.classifier.gpu_features import served
from sagehound.classifier.gpu_nvjpeg import NvJpegDecoder
from sagehound.classifier.gpu_pixels import resample
from sagehound.classifier.gpu_reader import Files
from sagehound.classifier.preprocessing import Preprocessing, open_picture, to_pixels
from sagehound.classifier.preprocessing import decode as decode_on_cpu

STORED = 4 / 3
"""Side at which pictures are kept, as a multiple of what the network sees: a crop of half the area is not enlarged."""


class GpuExamples:
    """A split's pictures in the GPU's memory; with a seed as random views of themselves, without as they are served.

    A picture is decoded when it is first asked for, while the network works on others.
    """

    def __init__(
        self, split: Split, preprocessing: Preprocessing, device: torch.device, augment_seed: int | None = None
    ) -> None:
        self._split, self._preprocessing, self._device, self._seed = split, preprocessing, device, augment_seed
        count = len(split.pictures)
        self._side = side_of(preprocessing, augment_seed)
        # Threads fill it, and inference mode, in which an evaluation may make it, is each thread's own.
        with torch.inference_mode(False):
            self._canvas = torch.empty((count, 3, self._side, self._side), dtype=torch.uint8, device=device)
        self._stored = np.full((count, 2), self._side, dtype=np.int32)
        self._sizes = np.full((count, 2), self._side, dtype=np.int32)
        self._there = np.zeros(count, dtype=bool)
        self._labels = torch.from_numpy(split.labels).to(device)

    def __len__(self) -> int:
        return len(self._split.pictures)

    @torch.no_grad()
    def batches(self, slices: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels [N, 3, size, size] in 0..255 and labels [N] on the GPU, for each array of indices."""
        chance = draws(len(self), self._seed, epoch) if self._seed is not None else None
        missing = [indices[~self._there[indices]] for indices in slices]
        pictures = self._split.pictures
        wanted = [[pictures[index].path for index in indices] for indices in missing]
        everything = torch.from_numpy(np.concatenate(slices) if len(slices) else np.zeros(0, np.int64)).to(self._device)
        chosen = torch.split(everything, [len(indices) for indices in slices])
        with ThreadPoolExecutor(usable_cores(), "decode-cpu") as cpu:

            def load(number: int, files: Files, decoder: NvJpegDecoder | None) -> None:
                if len(files):
                    self._load(missing[number], files, decoder, cpu)

            loaded = Pipeline(self._device, load).run(wanted) if any(wanted) else iter(wanted)
            for indices, places, _ in zip(slices, chosen, loaded, strict=True):
                if chance is None:
                    yield self._canvas[places].float(), self._labels[places]
                else:
                    yield self._views(indices, places, chance[indices]), self._labels[places]

    def on(self, device: torch.device) -> "GpuExamples":
        """These: they are where they can be."""
        return self

    def _views(self, indices: NDArray[np.int64], places: Tensor, chance: NDArray[np.float32]) -> Tensor:
        stored = self._stored[indices]
        width, height = stored.max(0, initial=1)
        there = torch.from_numpy(stored).to(self._device, non_blocking=True)
        pixels = self._canvas[:, :, :height, :width][places]
        return random_views(pixels, there, self._sizes[indices], chance, self._preprocessing.size)

    def _load(
        self, indices: NDArray[np.int64], files: Files, decoder: NvJpegDecoder | None, cpu: ThreadPoolExecutor
    ) -> None:
        """Decode pictures into the canvas."""
        pictures = [self._split.pictures[index] for index in indices]
        if self._seed is None:
            places = torch.from_numpy(indices).to(self._device)
            self._canvas[places] = served(pictures, files, decoder, self._preprocessing, self._device, cpu)
            self._there[indices] = True
            return
        groups, rest = decode(files, decoder)
        for group in groups:
            self._store(indices[group.places], group.rgb, group.sizes, group.sizes_there)
        for place, pixels in zip(rest, cpu.map(self._on_cpu, (pictures[place] for place in rest)), strict=True):
            rgb = torch.from_numpy(pixels).to(self._device)[None]
            sizes = np.array([[rgb.shape[3], rgb.shape[2]]], dtype=np.int32)
            self._store(indices[place : place + 1], rgb, sizes, torch.from_numpy(sizes).to(self._device))
        self._there[indices] = True

    def _on_cpu(self, picture: Picture) -> NDArray[np.uint8]:
        with open_picture(picture.path) as opened:
            return to_pixels(decode_on_cpu(opened, self._side)).astype(np.uint8)

    def _store(self, indices: NDArray[np.int64], rgb: Tensor, sizes: NDArray[np.int32], sizes_there: Tensor) -> None:
        """Keep a group as it is where it fits, else resized to the canvas: its shape is remembered for the crops."""
        self._sizes[indices] = sizes
        places = torch.from_numpy(indices).to(self._device)
        if (sizes <= self._side).all():
            width, height = sizes.max(0)
            self._canvas[places, :, :height, :width] = rgb[:, :, :height, :width]
            self._stored[indices] = sizes
        else:
            whole = torch.cat((torch.zeros_like(sizes_there), sizes_there), dim=1).float()
            interpolation = self._preprocessing.interpolation
            self._canvas[places] = resample(rgb, sizes_there, whole, self._side, interpolation).to(torch.uint8)


def side_of(preprocessing: Preprocessing, augment_seed: int | None) -> int:
    """The side at which pictures are kept."""
    return preprocessing.size if augment_seed is None else int(np.ceil(STORED * preprocessing.size))


def fits_in_memory(pictures: int, preprocessing: Preprocessing, device: torch.device, augment_seed: int | None) -> bool:
    """Whether the pictures take at most a third of the GPU's free memory."""
    needed = pictures * 3 * side_of(preprocessing, augment_seed) ** 2
    return device.type != "cuda" or 3 * needed <= torch.cuda.mem_get_info(device)[0]
