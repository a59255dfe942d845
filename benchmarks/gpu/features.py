"""Pictures a second from JPEG files to features, beside the device's limits: decoding alone and the network alone"""

from __future__ import annotations

import importlib.util
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.pictures import all_pictures, arguments, pictures, seconds, tell
from sagehound.classifier.dataset import Picture
from sagehound.classifier.extractors import load_pixels
from sagehound.classifier.gpu_decode import Lane, decode
from sagehound.classifier.gpu_features import BATCH, GpuExtractor, served
from sagehound.classifier.gpu_lite import FusedLite
from sagehound.classifier.network import Backbone, create_backbone

DEVICE = torch.device("cuda", 0)
AGREEMENT = 512


def decoding(paths: Sequence[Path], lanes: int) -> float:
    """Pictures a second of decoding alone, files in memory, into RGB on the GPU."""
    ready = threading.Barrier(lanes + 1)

    def work(first: int) -> None:
        lane = Lane(DEVICE)
        batches = [list(paths[start : start + 128]) for start in range(128 * first, len(paths), 128 * lanes)]
        held = []
        for batch in batches:
            lane.reader.ask(batch)
            held.append(lane.reader.take())
        assert lane.stream is not None
        with torch.cuda.stream(lane.stream):
            decode(held[0], lane.decoder)
            lane.stream.synchronize()
            ready.wait()
            for files in held:
                found, rest = decode(files, lane.decoder)
                lane.stream.synchronize()
                assert not len(rest)
                del found
        ready.wait()
        lane.close()

    with ThreadPoolExecutor(lanes) as pool:
        running = [pool.submit(work, first) for first in range(lanes)]
        ready.wait()
        started = time.perf_counter()
        ready.wait()
        rate = len(paths) / (time.perf_counter() - started)
        for one in running:
            one.result()
    return rate


def torchvisions_decoding(paths: Sequence[Path]) -> float | None:
    """The same by torchvision.io.decode_jpeg, in batches of 512; None where torchvision is missing."""
    if importlib.util.find_spec("torchvision") is None:
        return None
    import torchvision

    files = [torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8) for path in paths[:1024]]
    return 512 / seconds(lambda: torchvision.io.decode_jpeg(files[:512], device=DEVICE), 5, 2)


def compiled(backbone: Backbone) -> float:
    """Pictures a second of the network compiled by torch.compile in bfloat16, on 512 pictures in the GPU's memory."""
    network = create_backbone(backbone.name).to(DEVICE, torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = backbone.preprocessing.size
    pixels = torch.randint(0, 256, (512, 3, size, size), device=DEVICE).to(torch.bfloat16)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    fast = torch.compile(network, mode="reduce-overhead")
    with torch.inference_mode():
        return 512 / seconds(lambda: fast(pixels), 20, 4)


def agreement(backbone: Backbone, extractor: GpuExtractor, sample: Sequence[Picture]) -> None:
    """How the GPU's pixels and features differ from those that are served."""
    with ThreadPoolExecutor() as pool:
        started = time.perf_counter()
        expected = np.stack(list(pool.map(lambda picture: load_pixels(picture, backbone.preprocessing), sample)))
        rate = len(sample) / (time.perf_counter() - started)
    tell(f"Pillow in threads decodes {rate:,.0f} pictures a second on this machine's CPU")
    lane = Lane(DEVICE)
    lane.reader.ask([picture.path for picture in sample])
    files = lane.reader.take()
    with ThreadPoolExecutor() as pool:
        found = served(sample, files, lane.decoder, backbone.preprocessing, DEVICE, pool).cpu().numpy()
    lane.close()
    difference = np.abs(found.astype(np.float32) - expected)
    tell(f"pixels: {(difference == 0).mean():.2%} equal to Pillow's, largest difference {difference.max():.0f} of 255")
    with torch.inference_mode():
        precise = create_backbone(backbone.name).to(DEVICE)
        parts = torch.from_numpy(expected).split(64)
        exact = torch.cat([precise(part.to(DEVICE)) for part in parts]).cpu()
    features = torch.from_numpy(extractor.rows(sample))
    cosine = torch.cosine_similarity(features, exact)
    norm = float((features - exact).norm() / exact.norm())
    tell(f"features: cosine to float32's at least {cosine.min():.6f}, mean {cosine.mean():.6f}, difference {norm:.2%}")


def main() -> None:
    """Measure limits, passes and agreement."""
    with pictures(arguments(__doc__)) as folder:
        chosen = all_pictures(folder)
        backbone = create_backbone("efficientnet_lite0")
        started = time.perf_counter()
        extractor = GpuExtractor(backbone, DEVICE)
        extractor.rows(chosen[: 2 * BATCH])
        tell(f"ready after {time.perf_counter() - started:.2f} s: CUDA, kernels, decoder, first {2 * BATCH} pictures")
        rates = []
        for _ in range(7):
            started = time.perf_counter()
            extractor.rows(chosen)
            rates.append(len(chosen) / (time.perf_counter() - started))
        rate = statistics.median(rates)
        spread = f"(7 passes, {min(rates):,.0f} to {max(rates):,.0f})"
        tell(f"from files to features: {rate:,.0f} pictures a second {spread}")
        many = chosen * 4
        started = time.perf_counter()
        extractor.rows(many)
        tell(f"the same, four times the pictures: {len(many) / (time.perf_counter() - started):,.0f}")
        paths = [picture.path for picture in chosen]
        decoded = {lanes: max(decoding(paths, lanes) for _ in range(2)) for lanes in (1, 2, 4)}
        tell("decoding alone: " + ", ".join(f"{value:,.0f} with {lanes} threads" for lanes, value in decoded.items()))
        other = torchvisions_decoding(paths)
        if other is not None:
            tell(f"decoding alone by torchvision: {other:,.0f}")
        size = backbone.preprocessing.size
        pixels = torch.randint(0, 256, (512, 3, size, size), dtype=torch.uint8, device=DEVICE)
        fused = FusedLite(backbone, DEVICE)
        forward = {batch: batch / seconds(lambda n=batch: fused(pixels[:n])) for batch in (256, 512)}  # type: ignore[misc]
        tell("network alone: " + ", ".join(f"{value:,.0f} in batches of {batch}" for batch, value in forward.items()))
        best = compiled(backbone)
        tell(f"network alone, by torch.compile: {best:,.0f}")
        limit = min(max(decoded.values()), max(best, *forward.values()))
        tell(f"share of the smaller limit, our own decoding or network ({limit:,.0f}): {rate / limit:.2f}")
        if other is not None:
            usual = min(other, best)
            tell(f"share of torchvision's decoding or torch.compile, the smaller ({usual:,.0f}): {rate / usual:.2f}")
        agreement(backbone, extractor, chosen[-AGREEMENT:])


if __name__ == "__main__":
    main()
