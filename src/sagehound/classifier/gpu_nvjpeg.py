"""NVIDIA's JPEG decoder, called through ctypes: batches of files to planes in the GPU's memory.

The planes come out as the file stores them (YCbCr, colour as sampled), because nvJPEG enlarges colour in another way
than libjpeg; `gpu_pixels` does the rest as libjpeg does. The library is part of the CUDA toolkit and of torchvision's
CUDA builds. Where a GPU has JPEG engines (A100, H100 and later) they decode, beside whatever else the GPU does.
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagehound.classifier.gpu_jpeg import SAMPLINGS
from sagehound.classifier.gpu_pixels import even
from sagehound.classifier.gpu_reader import Files

_HARDWARE, _GPU_HYBRID = 3, 2
_OUTPUT_YUV = 1


class DecodingFailed(RuntimeError):
    """nvJPEG refused a batch; the text has its status."""


@functools.cache
def find_library() -> Path | str | None:
    """The nvJPEG library of torchvision, of NVIDIA's wheels or of a CUDA toolkit; None where there is none."""
    return next(iter(_candidates()), None)


def _candidates() -> Iterator[Path | str]:
    for package, pattern in (("torchvision", "../torchvision.libs/libnvjpeg*"), ("nvidia", "*/lib/libnvjpeg.so*")):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield from sorted(Path(folder).glob(pattern))
    toolkit = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    yield from sorted(toolkit.glob("lib64/libnvjpeg.so*"))
    name = ctypes.util.find_library("nvjpeg")
    if name:
        yield name


@functools.cache
def _library() -> Any:
    found = find_library()
    if found is None:
        raise DecodingFailed("there is no libnvjpeg: it comes with torchvision's CUDA build and with the CUDA toolkit")
    library = ctypes.CDLL(str(found))
    for name in ("nvjpegCreateEx", "nvjpegJpegStateCreate", "nvjpegDecodeBatchedInitialize", "nvjpegDecodeBatched"):
        getattr(library, name).restype = ctypes.c_int
    return library


def _check(status: int, call: str) -> None:
    if status != 0:
        raise DecodingFailed(f"{call} ended with status {status}")


class NvJpegDecoder:
    """Decodes batches on one GPU; for one thread at a time, on the stream that is current there."""

    def __init__(self, device: torch.device) -> None:
        """Raises DecodingFailed where there is no library or no decoder."""
        self._device = device
        self._library = _library()
        self._handle, self._state = ctypes.c_void_p(), ctypes.c_void_p()
        self._batch = 0
        self.backend = "JPEG engines"
        create = self._library.nvjpegCreateEx
        if create(_HARDWARE, None, None, 0, ctypes.byref(self._handle)) != 0:
            self.backend = "CUDA cores"
            _check(create(_GPU_HYBRID, None, None, 0, ctypes.byref(self._handle)), "nvjpegCreateEx")
        _check(self._library.nvjpegJpegStateCreate(self._handle, ctypes.byref(self._state)), "nvjpegJpegStateCreate")

    def decode(self, files: Files, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """uint8 planes of the chosen files, of one sampling: luma [N, H, W] and two colour planes.

        H and W are those of the largest picture, even; each picture lies in the upper left corner.
        The files must stay in memory until the current stream has come here. Raises DecodingFailed.
        """
        numbers = files.numbers[chosen]
        sampling, count = SAMPLINGS[int(numbers[0, 4])], len(numbers)
        width, height = even(int(numbers[:, 2].max())), even(int(numbers[:, 3].max()))
        small = (count, height // (2 if sampling == "420" else 1), width // (1 if sampling == "444" else 2))
        shapes = ((count, height, width), small, small)
        planes = [torch.empty(shape, dtype=torch.uint8, device=self._device) for shape in shapes]
        # nvjpegImage_t: four pointers and four lengths of a line.
        targets = np.zeros((count, 8), dtype=np.uint64)
        for number, plane in enumerate(planes):
            targets[:, number] = plane.data_ptr() + plane.stride(0) * np.arange(count)
            targets[:, 4 + number] = plane.stride(1)
        starts = (files.memory.ctypes.data + numbers[:, 0]).astype(np.uint64)
        lengths = numbers[:, 1].astype(np.uint64)
        if self._batch != count:
            arguments = (self._handle, self._state, count, 1, _OUTPUT_YUV)
            _check(self._library.nvjpegDecodeBatchedInitialize(*arguments), "nvjpegDecodeBatchedInitialize")
            self._batch = count
        status = self._library.nvjpegDecodeBatched(
            self._handle,
            self._state,
            starts.ctypes.data_as(ctypes.c_void_p),
            lengths.ctypes.data_as(ctypes.c_void_p),
            targets.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_void_p(torch.cuda.current_stream(self._device).cuda_stream),
        )
        if status != 0:
            self._batch = 0
        _check(status, "nvjpegDecodeBatched")
        luma, blue, red = planes
        return luma, blue, red
