"""Where things point to: what a model, a job or a function needs of S3 and of IAM, as the keys of those things"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagehound.pipeline.belongings.thing import Key, Kind

JOBS = "jobs"
CHECKPOINTS = "checkpoints"


def of_role(arn: str) -> set[Key]:
    """The role of an ARN."""
    return {(Kind.ROLE, arn.rpartition("/")[2])} if arn else set()


def of_uri(uri: str) -> set[Key]:
    """The bucket of an S3 address, and the job whose output or checkpoint lies there."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        return set()
    keys: set[Key] = {(Kind.BUCKET, bucket), (Kind.OBJECTS, bucket)}
    parts = key.split("/")
    if len(parts) > 2 and parts[1] in (JOBS, CHECKPOINTS):
        keys.add((Kind.OUTPUT, parts[2]))
    return keys


def of_job(job: dict[str, Any]) -> set[Key]:
    """What a training job (or the definition of a tuning job's trials) reads, writes and runs as."""
    return of_role(job.get("RoleArn", "")).union(*(of_uri(uri) for uri in _uris(job)))


def _uris(job: dict[str, Any]) -> Iterator[str]:
    yield job.get("OutputDataConfig", {}).get("S3OutputPath", "")
    yield job.get("CheckpointConfig", {}).get("S3Uri", "")
    for channel in job.get("InputDataConfig", []):
        yield channel["DataSource"].get("S3DataSource", {}).get("S3Uri", "")
