"""Features on a GPU, from files: decoded, cropped and run through the backbone there."""

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagehound.classifier.augment import MILD_AREA, MILD_RATIO, crop_box, random_generator
from sagehound.classifier.dataset import Picture
from sagehound.classifier.extractors import identity_of, load_pixels, usable_cores
from sagehound.classifier.gpu_decode import Decoded, Pipeline, decode
from sagehound.classifier.gpu_networks import fast_network
from sagehound.classifier.gpu_nvjpeg import NvJpegDecoder
from sagehound.classifier.gpu_pixels import centre_boxes, resample
from sagehound.classifier.gpu_reader import Files
from sagehound.classifier.network import Backbone
from sagehound.classifier.preprocessing import Preprocessing

BATCH = 256


def served(
    pictures: Sequence[Picture],
    files: Files,
    decoder: NvJpegDecoder | None,
    preprocessing: Preprocessing,
    device: torch.device,
    cpu: ThreadPoolExecutor,
) -> Tensor:
    """uint8 pixels [N, 3, size, size] of pictures as they are served, or of fixed views of them.

    Raises UnreadablePicture naming the file.
    """
    groups, rest = decode(files, decoder)
    if len(groups) == 1 and not len(rest) and bool((groups[0].places == np.arange(len(pictures))).all()):
        return _viewed(groups[0], pictures, preprocessing)
    out = torch.empty((len(pictures), 3, preprocessing.size, preprocessing.size), dtype=torch.uint8, device=device)
    for group in groups:
        places = torch.from_numpy(group.places).to(device)
        out[places] = _viewed(group, [pictures[place] for place in group.places], preprocessing)
    if len(rest):
        loaded = list(cpu.map(lambda place: load_pixels(pictures[place], preprocessing), rest))
        out[torch.from_numpy(rest).to(device)] = torch.from_numpy(np.stack(loaded).astype(np.uint8)).to(device)
    return out


def _viewed(group: Decoded, pictures: Sequence[Picture], preprocessing: Preprocessing) -> Tensor:
    """uint8 pixels of a group: centre square or view, at the network's size."""
    size = preprocessing.size
    cropped = [row for row, picture in enumerate(pictures) if picture.view > 1]
    pixels = group.rgb
    if cropped or preprocessing.crop_fraction != 1.0 or (group.sizes != size).any():
        boxes = centre_boxes(group.sizes_there, preprocessing.crop_fraction)
        if cropped:
            shapes = group.sizes.tolist()
            views = [_view_box(pictures[row], shapes[row]) for row in cropped]
            boxes[torch.tensor(cropped).to(boxes.device)] = torch.tensor(views, dtype=boxes.dtype).to(boxes.device)
        pixels = resample(pixels, group.sizes_there, boxes, size, preprocessing.interpolation).to(torch.uint8)
    if any(picture.view % 2 for picture in pictures):
        mirrored = torch.tensor([picture.view % 2 == 1 for picture in pictures]).to(pixels.device)
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
    return pixels


def _view_box(picture: Picture, shape: Sequence[int]) -> tuple[float, float, float, float]:
    chance = random_generator(0, picture.view, zlib.crc32(picture.name.encode()))
    return crop_box(shape[0], shape[1], chance, MILD_AREA, MILD_RATIO)


class GpuExtractor:
    """Runs a frozen backbone in half precision on pictures that the GPU decodes."""

    part = 65_536
    """Pictures between two writes: a few seconds of work."""

    def __init__(self, backbone: Backbone, device: torch.device) -> None:
        self.identity = identity_of(backbone, f"{device.type}-float16")
        self._feature_count = backbone.feature_count
        self._preprocessing = backbone.preprocessing
        self._device = device
        # It takes seconds to get ready the first time: meanwhile the first pictures are decoded.
        pool = ThreadPoolExecutor(1, "network")
        self._network = pool.submit(fast_network, backbone, device, BATCH)
        pool.shutdown(wait=False)

    @torch.inference_mode()
    def rows(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Features [len(pictures), feature_count]. Raises UnreadablePicture naming the file."""
        out = torch.empty((len(pictures), self._feature_count), device=self._device)
        batches = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
        start = 0
        with ThreadPoolExecutor(usable_cores(), "decode-cpu") as cpu:

            def pixels_of(number: int, files: Files, decoder: NvJpegDecoder | None) -> Tensor:
                return served(batches[number], files, decoder, self._preprocessing, self._device, cpu)

            paths = [[picture.path for picture in batch] for batch in batches]
            for pixels in Pipeline(self._device, pixels_of).run(paths):
                network = self._network.result()
                if pixels.is_cuda:
                    pixels.record_stream(torch.cuda.current_stream(self._device))
                out[start : start + len(pixels)] = network(pixels)
                start += len(pixels)
        rows: NDArray[np.float32] = out.cpu().numpy()
        return rows
