"""What a training left in its output: fetched from S3 as one archive or as plain files, nothing unpacked"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.report.documents import (
    METRICS,
    PREDICTIONS,
    DamagedOutput,
    Metrics,
    Predictions,
    parse_metrics,
    parse_predictions,
)

_LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True)
class JobOutput:
    """Both files, each None where the job left none."""

    metrics: Metrics | None = None
    predictions: Predictions | None = None


def read_output(clients: Clients, job: dict[str, Any]) -> JobOutput:
    """The output of a job as DescribeTrainingJob tells it; raises DamagedOutput where a file cannot be understood."""
    output = job.get("OutputDataConfig", {})
    base = f"{output['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/output"
    plain = output.get("CompressionType") == "NONE"
    files = dict(_plain_files(clients, f"{base}/data") if plain else _packed_files(clients, f"{base}/output.tar.gz"))
    return JobOutput(
        metrics=parse_metrics(files[METRICS]) if METRICS in files else None,
        predictions=parse_predictions(files[PREDICTIONS]) if PREDICTIONS in files else None,
    )


def _packed_files(clients: Clients, uri: str) -> Iterator[tuple[str, bytes]]:
    body = _object(clients, uri)
    if body is None:
        return
    try:
        # As a stream: nothing is unpacked, and of large archives little is kept.
        with tarfile.open(fileobj=body, mode="r|gz") as archive:
            for member in archive:
                if member.name in (METRICS, PREDICTIONS) and member.isfile():
                    if member.size > _LARGEST:
                        raise DamagedOutput(f"{member.name} has {member.size:,} bytes")
                    content = archive.extractfile(member)
                    yield member.name, content.read() if content else b""
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DamagedOutput(f"{uri} cannot be unpacked: {error}") from error


def _plain_files(clients: Clients, prefix: str) -> Iterator[tuple[str, bytes]]:
    for name in (METRICS, PREDICTIONS):
        body = _object(clients, f"{prefix}/{name}")
        if body is not None:
            yield name, body.read(_LARGEST)


def _object(clients: Clients, uri: str) -> Any:
    """The body of an object as a stream, None where there is none."""
    from botocore.exceptions import ClientError

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return clients.s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if error_of(error)[0] in ("NoSuchKey", "NoSuchBucket", "404"):
            return None
        raise
