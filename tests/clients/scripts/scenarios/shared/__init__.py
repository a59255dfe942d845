"""What several scenarios do: fetch the pictures as everybody does, and read a job's log."""

from __future__ import annotations

import re
import shutil
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import boto3
import sagemaker

CODE = Path(__file__).parents[2] / "code"
PICTURES = "https://s3-us-west-1.amazonaws.com/udacity-aind/dog-project/dogImages.zip"
DOG = "https://s3.amazonaws.com/cdn-origin-etr.akc.org/wp-content/uploads/2017/11/20113314/Carolina-Dog-standing-outdoors.jpg"


def fetched() -> Path:
    """The pictures in a folder of this machine."""
    folder = Path(tempfile.mkdtemp())
    with urllib.request.urlopen(PICTURES) as answer, (folder / "dogImages.zip").open("wb") as file:
        shutil.copyfileobj(answer, file)
    with zipfile.ZipFile(folder / "dogImages.zip") as archive:
        archive.extractall(folder)
    return folder / "dogImages"


def uploaded(session: sagemaker.Session, prefix: str) -> str:
    """The pictures in the session's bucket."""
    return str(session.upload_data(str(fetched()), key_prefix=prefix))


def source_dir(*names: str) -> str:
    """A folder with these scripts and nothing else."""
    folder = Path(tempfile.mkdtemp())
    for name in names:
        shutil.copy(CODE / name, folder)
    return str(folder)


def log_of(job: str) -> str:
    """Everything that the hosts of a training job wrote."""
    logs = boto3.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job}/"
    )
    return "\n".join(event["message"] for page in pages for event in page["events"])


def says(text: str, pattern: str) -> re.Match[str]:
    """The first place of a text where a pattern is found; fails with the text if there is none."""
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in:\n{text}"
    return found


def described(estimator: Any) -> dict[str, Any]:
    """An estimator's latest job as DescribeTrainingJob tells it."""
    described: dict[str, Any] = estimator.latest_training_job.describe()
    return described
