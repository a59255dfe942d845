"""The user data of an instance that trains: a shell script with what this run is, and the program that moves files.

cloud-init runs it as root at the first boot, on AWS as in the local cloud.
"""

from __future__ import annotations

import importlib.resources
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from sagehound.errors import StepFailed

MOST_BYTES = 16_384
"""RunInstances takes no more, before base64."""
BEGINS = "sagehound: begins"
ENDS = "sagehound: ends with status "
_END_OF_PROGRAM = "END_OF_TRANSFER"


@dataclass(frozen=True)
class Work:
    """What the instance is to do."""

    run: str
    """The run's name, and that of its folder on the instance."""
    region: str
    bucket: str
    code_key: str
    data_prefix: str
    """Where the pictures lie in the bucket."""
    data_archive: str
    """A zip instead of them: s3://BUCKET/KEY or an address that wget fetches; empty: the pictures."""
    result_prefix: str
    program: str
    arguments: Sequence[str]
    instance_type: str
    """For the outcome: EC2 forgets an instance an hour after it has ended."""
    limit_seconds: int


def user_data(work: Work) -> str:
    """The script; raises StepFailed where AWS would not take it."""
    words = {
        "RUN": work.run,
        "REGION": work.region,
        "BUCKET": work.bucket,
        "CODE_KEY": work.code_key,
        "DATA_PREFIX": work.data_prefix,
        "DATA_ARCHIVE": work.data_archive,
        "RESULT_PREFIX": work.result_prefix,
        "PROGRAM": work.program,
        "INSTANCE_TYPE": work.instance_type,
        "LIMIT_SECONDS": str(work.limit_seconds),
    }
    text = "\n".join(
        [
            "#!/bin/bash",
            *(f"export {name}={shlex.quote(value)}" for name, value in words.items()),
            f"ARGUMENTS=({shlex.join(work.arguments)})",
            f"write_transfer() {{ cat <<'{_END_OF_PROGRAM}'",
            source("transfer.py").rstrip("\n"),
            _END_OF_PROGRAM,
            "}",
            source("train.sh"),
        ]
    )
    if len(text.encode()) > MOST_BYTES:
        raise StepFailed(
            "instance",
            f"the user data have {len(text.encode()):,} bytes, and EC2 takes {MOST_BYTES:,}",
            "Give the script fewer hyperparameters, or put them into a file of its source_dir.",
        )
    return text


def source(name: str) -> str:
    """A file of instance_source."""
    return (importlib.resources.files("sagehound.pipeline.instance_source") / name).read_text(encoding="utf-8")
