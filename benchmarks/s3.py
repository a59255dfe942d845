"""S3 against its peers in one run: upload, download, small puts, memory; medians of interleaved rounds.

    python benchmarks/s3.py [--rounds 3] [--megabytes 256] [--puts 600] [--only sagehound]

Upload: boto3's transfer manager, 8 MiB parts, 10 threads. Download: one GetObject, read and dropped. Puts: objects of
60 KB in requests that were signed beforehand, over 4 kept connections (what the server can do), and through boto3 in
one thread (what a script sees; boto3 itself takes most of it). Each server is alone while it is measured; ratios count.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from s3_servers import SERVERS, Server, available

RESULTS = Path(__file__).parent / "results" / "s3.json"
SMALL = 60_000
CONNECTIONS = 4
BUCKET = "benchmark-bucket"
COLUMNS = {
    "upload_mb_s": "upload MB/s",
    "download_mb_s": "download MB/s",
    "puts_s": "60 KB puts/s",
    "boto3_puts_s": "same, boto3",
    "peak_mb": "peak MB",
    "start_s": "start s",
}


class PeakMemory:
    """The largest resident size of a server while the block runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.bytes = max(self.bytes, self._server.memory())

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def client_of(server: Server) -> Any:
    """A boto3 client that does not retry: a failure is a failure."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            max_pool_connections=16,
            retries={"max_attempts": 1},
        ),
    )


def measure(server: Server, file: Path, puts: int) -> dict[str, float]:
    """One round against one server."""
    client = client_of(server)
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="warm", Body=b"up")
    size = file.stat().st_size
    with PeakMemory(server) as memory:
        began = time.perf_counter()
        client.upload_file(str(file), BUCKET, "large")
        uploaded = time.perf_counter() - began
        downloaded = _download(client, size)
        boto3_puts = _boto3_puts(client, puts // 3)
        raw_puts = _raw_puts(server, puts)
    return {
        "upload_mb_s": size / 1e6 / uploaded,
        "download_mb_s": size / 1e6 / downloaded,
        "puts_s": raw_puts,
        "boto3_puts_s": boto3_puts,
        "peak_mb": memory.bytes / 1e6,
    }


def _download(client: Any, size: int) -> float:
    began = time.perf_counter()
    body = client.get_object(Bucket=BUCKET, Key="large")["Body"]
    buffer = memoryview(bytearray(1 << 20))
    read = 0
    while count := body._raw_stream.readinto(buffer):
        read += count
    if read != size:
        raise RuntimeError(f"{read} bytes came back of {size}")
    return time.perf_counter() - began


def _boto3_puts(client: Any, count: int) -> float:
    data = os.urandom(SMALL)
    began = time.perf_counter()
    for number in range(count):
        client.put_object(Bucket=BUCKET, Key=f"boto3/{number}", Body=data)
    return count / (time.perf_counter() - began)


def _raw_puts(server: Server, count: int) -> float:
    """Requests that were signed beforehand, over kept connections: the client costs next to nothing."""
    data = os.urandom(SMALL)
    digest = hashlib.sha256(data).hexdigest()
    signer = S3SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", "us-east-1")
    requests = []
    for number in range(count):
        url = f"{server.endpoint_url}/{BUCKET}/raw/{number}"
        request = AWSRequest("PUT", url, headers={"x-amz-content-sha256": digest}, data=data)
        signer.add_auth(request)
        requests.append((urlsplit(url).path, dict(request.headers.items())))
    failures: list[int] = []

    def put(some: list[tuple[str, dict[str, str]]]) -> None:
        connection = http.client.HTTPConnection(urlsplit(server.endpoint_url).netloc)
        for path, headers in some:
            connection.request("PUT", path, data, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failures.append(answer.status)

    threads = [threading.Thread(target=put, args=(requests[start::CONNECTIONS],)) for start in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"puts answered {sorted(set(failures))}")
    return count / (time.perf_counter() - began)


def run(names: list[str], rounds: int, megabytes: int, puts: int) -> dict[str, dict[str, float]]:
    """The medians by server."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="sagehound-bench-") as folder:
        file = Path(folder) / "large"
        with file.open("wb") as target:
            for _ in range(megabytes):
                target.write(os.urandom(1 << 20))
        for number in range(rounds):
            for name in names:
                began = time.perf_counter()
                with SERVERS[name]() as server:
                    started = time.perf_counter() - began
                    figures = measure(server, file, puts) | {"start_s": started}
                found[name].append(figures)
                print(
                    f"round {number + 1} {name}: " + ", ".join(f"{k} {v:.1f}" for k, v in figures.items()), flush=True
                )
    return {
        name: {column: statistics.median(one[column] for one in each) for column in COLUMNS}
        for name, each in found.items()
    }


def table(medians: dict[str, dict[str, float]]) -> str:
    """The medians as a Markdown table."""
    lines = ["| server | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, figures in medians.items():
        cells = [f"{figures[column]:.{1 if column == 'start_s' else 0}f}" for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--puts", type=int, default=600)
    parser.add_argument("--only", action="append", choices=list(SERVERS))
    chosen = parser.parse_args()
    names = chosen.only or available()
    medians = run(names, chosen.rounds, chosen.megabytes, chosen.puts)
    print(table(medians))
    facts = {
        "rounds": chosen.rounds,
        "megabytes": chosen.megabytes,
        "puts": chosen.puts,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_at_end": os.getloadavg()[0],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"facts": facts, "medians": medians}, indent=2) + "\n")


if __name__ == "__main__":
    main()
