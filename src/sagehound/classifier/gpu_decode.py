"""Pictures on disk to batches of pixels on a GPU: processes read files, threads have them decoded, in order.

Files that the GPU's decoder does not take (see gpu_jpeg) are left to the caller, who decodes them on the CPU. Where
there is no nvJPEG, all are.
"""

import atexit
import os
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagehound.classifier.gpu_jpeg import SAMPLINGS
from sagehound.classifier.gpu_nvjpeg import DecodingFailed, NvJpegDecoder, find_library
from sagehound.classifier.gpu_pixels import to_rgb
from sagehound.classifier.gpu_reader import Files, Reader

DECODERS = 4
"""Threads that feed the decoder: on an H100 one reaches 22,000 small pictures a second, four 49,000."""
AHEAD = 2
"""Batches that each of them has ready or asked for."""
CANVAS_PIXELS = 24_000_000
"""Most pixels of the pictures that are decoded and resized at once: about a gigabyte of the GPU's memory."""

T = TypeVar("T")


@dataclass(frozen=True)
class Decoded:
    """Pictures of one group on the GPU, in the upper left corners of a canvas."""

    places: NDArray[np.int64]
    """Where they stand in their batch."""
    rgb: Tensor
    """uint8 [N, 3, H, W]"""
    sizes: NDArray[np.int32]
    """[N, 2]: width and height."""
    sizes_there: Tensor
    """The same on the GPU."""


def decode(files: Files, decoder: NvJpegDecoder | None) -> tuple[list[Decoded], NDArray[np.int64]]:
    """The pictures that the GPU decodes, in groups, and the places of those that are for the CPU."""
    if decoder is None:
        return [], np.arange(len(files))
    kinds = files.numbers[:, 4]
    found: list[Decoded] = []
    rest = [np.flatnonzero(kinds == 0)]
    for kind in range(1, len(SAMPLINGS)):
        for places in by_canvas(files.numbers, np.flatnonzero(kinds == kind)):
            try:
                planes = decoder.decode(files, places)
            except DecodingFailed:
                # One damaged file fails its group; the CPU's decoder says which it is, or can read it.
                rest.append(places)
                continue
            sizes = np.ascontiguousarray(files.numbers[places, 2:4], dtype=np.int32)
            there = torch.from_numpy(sizes).to(planes[0].device)
            found.append(Decoded(places, to_rgb(*planes, there, SAMPLINGS[kind]), sizes, there))
    return found, np.concatenate(rest)


def by_canvas(numbers: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Places in groups of like size, none of whose canvases is too large; in order where all are of one size."""
    if not len(places):
        return
    widths, heights = numbers[places, 2], numbers[places, 3]
    if int(widths.max()) * int(heights.max()) * len(places) <= CANVAS_PIXELS and _alike(widths) and _alike(heights):
        yield places
        return
    order = np.lexsort((widths, heights))
    start = width = height = 0
    for at, index in enumerate(order):
        w, h = max(width, int(widths[index])), max(height, int(heights[index]))
        if at > start and w * h * (at + 1 - start) > CANVAS_PIXELS:
            yield places[order[start:at]]
            start, w, h = at, int(widths[index]), int(heights[index])
        width, height = w, h
    yield places[order[start:]]


def _alike(lengths: NDArray[np.int64]) -> bool:
    return bool(lengths.min() == lengths.max())


class Lane:
    """What one thread works with: a process that reads, a stream, and a decoder where there is one."""

    def __init__(self, device: torch.device) -> None:
        self.reader = Reader()
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            # Its kernels are small: they shall not wait for all that the network has queued.
            self.stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
        found = device.type == "cuda" and find_library() is not None
        self.decoder = NvJpegDecoder(device) if found else None

    def close(self) -> None:
        """End the process; the decoder stays until the interpreter ends, as its library has no safe end before."""
        self.reader.close()


_idle: dict[torch.device, list[Lane]] = defaultdict(list)
_lock = threading.Lock()


def _take_lane(device: torch.device) -> Lane:
    """An idle lane, or a new one: they take a while to make, so they are kept from run to run."""
    with _lock:
        if _idle[device]:
            return _idle[device].pop()
    if device.type != "cuda":
        return Lane(device)
    # A new thread's current GPU is the first one, and nvJPEG decodes on the current one.
    with torch.cuda.device(device):
        return Lane(device)


def _give_lane(device: torch.device, lane: Lane) -> None:
    with _lock:
        _idle[device].append(lane)


@atexit.register
def close_lanes() -> None:
    """End the processes of all idle lanes."""
    with _lock:
        for lanes in _idle.values():
            while lanes:
                lanes.pop().close()


class Pipeline(Generic[T]):
    """Runs `work` on batches of files in threads, some batches ahead, and gives the results in order.

    `work` gets (number of the batch, its files, a decoder or None) and runs on a stream of its thread's own; its result
    is complete on the GPU when it comes out here.
    """

    def __init__(self, device: torch.device, work: Callable[[int, Files, NvJpegDecoder | None], T]) -> None:
        self._device = device
        self._work = work
        self._stopped = threading.Event()

    def run(self, batches: Sequence[Sequence[Path]]) -> Iterator[T]:
        """The results, batch by batch. Raises what `work` raises."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        count = max(1, min(DECODERS, cores // 2, len(batches)))
        # Each thread has every count-th batch, so that it knows what to ask for next.
        results: list[queue.Queue[T | BaseException]] = [queue.Queue(AHEAD) for _ in range(count)]
        threads = [
            threading.Thread(target=self._decode, args=(batches, range(first, len(batches), count), results[first]))
            for first in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            for number in range(len(batches)):
                result = results[number % count].get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            self._stopped.set()
            for waiting, thread in zip(results, threads, strict=True):
                # One that waits to put its result must find a place.
                while thread.is_alive():
                    with suppress(queue.Empty):
                        waiting.get(timeout=0.01)
                thread.join()

    def _decode(
        self, batches: Sequence[Sequence[Path]], mine: range, results: "queue.Queue[T | BaseException]"
    ) -> None:
        lane: Lane | None = None
        try:
            lane = _take_lane(self._device)
            for number in mine[:AHEAD]:
                lane.reader.ask(batches[number])
            for at, number in enumerate(mine):
                files = lane.reader.take()
                if at + AHEAD < len(mine):
                    lane.reader.ask(batches[mine[at + AHEAD]])
                results.put(self._run(number, files, lane))
                if self._stopped.is_set() and number != mine[-1]:
                    lane.close()
                    return
            _give_lane(self._device, lane)
        # It is raised where the results are taken.
        except BaseException as error:  # noqa: BLE001
            if lane is not None:
                lane.close()
            results.put(error)

    def _run(self, number: int, files: Files, lane: Lane) -> T:
        if lane.stream is None:
            return self._work(number, files, lane.decoder)
        with torch.cuda.stream(lane.stream):
            result = self._work(number, files, lane.decoder)
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record()
            # The decoder reads the files until here.
            done.synchronize()
        return result
