"""Pictures a second through InvokeEndpoint, as a share of what the same functions reach inside one process.

The artefact is a real one: the pretrained backbone, a head of 133 classes (untrained: its speed is the same), the
classifier's own serving code. Both sides use one thread a core. The two rates are measured in turn.
Run from the project's folder: `python -m benchmarks.endpoint_throughput [--seconds 10] [--rounds 3] [--at-once 16]`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import uvloop
from PIL import Image

from benchmarks.endpoint_requests import rate, signed
from sagehound.classifier.artefact import add_head, write_code, write_json
from sagehound.classifier.export import export_backbone
from sagehound.classifier.linear_head import LinearHead
from sagehound.classifier.network import create_backbone
from tests.cloud.hosting import IMAGE, Hosting
from tests.cloud_process import CloudProcess

CLASSES = 133
IN_PROCESS = """
import sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[1] + "/code")
from inference import input_fn, model_fn, output_fn, predict_fn
model = model_fn(sys.argv[1])
pictures = [path.read_bytes() for path in sorted(Path(sys.argv[2]).iterdir())]
counts = [0] * int(sys.argv[4])
deadline = time.perf_counter() + float(sys.argv[3])
def work(worker):
    number = worker
    while time.perf_counter() < deadline:
        output_fn(predict_fn(input_fn(pictures[number % len(pictures)], "image/jpeg"), model), "application/json")
        number += len(counts)
        counts[worker] += 1
threads = [threading.Thread(target=work, args=(worker,)) for worker in range(len(counts))]
began = time.perf_counter()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(counts) / (time.perf_counter() - began))
"""


def build(folder: Path) -> None:
    """An artefact as a training job leaves it."""
    backbone = create_backbone("efficientnet_lite0")
    export_backbone(backbone, folder.parent / "backbone.onnx")
    head = LinearHead.untrained(np.zeros((1, backbone.feature_count), np.float32), CLASSES)
    add_head(folder.parent / "backbone.onnx", head, folder / "model.onnx")
    write_json(folder / "classes.json", [f"class {number}" for number in range(CLASSES)])
    write_code(folder)


def draw(folder: Path, count: int = 32) -> list[bytes]:
    """JPEGs of the size and detail that photographs have at 256 pixels."""
    generator = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        coarse = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        picture = io.BytesIO()
        Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC).save(picture, "JPEG", quality=90)
        pictures.append(picture.getvalue())
        (folder / f"{number}.jpg").write_bytes(pictures[-1])
    return pictures


def in_process(model: Path, pictures: Path, seconds: float, threads: int) -> float:
    """Pictures a second of the artefact's four functions in `threads` threads of one process."""
    command = [sys.executable, "-c", IN_PROCESS, str(model), str(pictures), str(seconds), str(threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure both in turn, print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    for name in ("model", "pictures"):
        (work / name).mkdir()
    cloud = CloudProcess(work / "data").start()
    try:
        build(work / "model")
        pictures = draw(work / "pictures")
        hosting = Hosting(cloud)
        endpoint = deploy(hosting, work / "model")
        requests = [(*signed(cloud, endpoint, picture, "image/jpeg"), picture) for picture in pictures]
        cores = len(os.sched_getaffinity(0))
        alone, through = [], []
        for _ in range(given.rounds):
            alone.append(in_process(work / "model", work / "pictures", given.seconds, cores))
            through.append(uvloop.run(rate(cloud.port, requests, given.at_once, given.seconds)))
        shares = [one / other for one, other in zip(through, alone, strict=True)]
        print(
            json.dumps(
                {
                    "cores": cores,
                    "in_process": round(statistics.median(alone), 1),
                    "through_the_endpoint": round(statistics.median(through), 1),
                    "share": round(statistics.median(shares), 3),
                    "share_min_max": [round(min(shares), 3), round(max(shares), 3)],
                    "bytes_a_picture": round(statistics.mean(map(len, pictures))),
                }
            )
        )
        hosting.delete(endpoint)
    finally:
        cloud.stop()
        shutil.rmtree(work, ignore_errors=True)


def deploy(hosting: Hosting, folder: Path) -> str:
    """Pack the artefact, upload it, and bring an endpoint into service."""
    packed = folder.parent / "model.tar.gz"
    with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
        tar.add(folder, arcname="", filter=lambda member: None if "__pycache__" in member.name else member)
    hosting.s3.upload_file(str(packed), hosting.bucket, "model.tar.gz")
    name = hosting.name("throughput")
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{hosting.bucket}/model.tar.gz"}
    hosting.sagemaker.create_model(ModelName=name, ExecutionRoleArn=hosting.role_arn, PrimaryContainer=container)
    endpoint = hosting.create("throughput", hosting.config("throughput", hosting.variant(name)))
    described = hosting.settled(endpoint)
    if described["EndpointStatus"] != "InService":
        raise SystemExit(described["FailureReason"])
    return endpoint


if __name__ == "__main__":
    main()
