"""Images and artefacts by the SDK's own ways."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer

HANDLER = """
import json
def model_fn(model_dir):
    return open(model_dir + "/name.txt").read()
def transform_fn(model, data, content_type, accept):
    return json.dumps({"model": model, "bytes": len(data)}), "application/json"
"""


def image(session: Session, scope: str) -> str:
    """PyTorch's image for `training` or for `inference`."""
    found: str = image_uris.retrieve(
        "pytorch",
        session.boto_region_name,
        version="2.6",
        py_version="py312",
        instance_type="ml.m5.large",
        image_scope=scope,
    )
    return found


def model(trainer: ModelTrainer) -> str:
    """Where the artefact of a finished training lies."""
    return str(trainer._latest_training_job.model_artifacts.s3_model_artifacts)


def unpacked(session: Session, uri: str) -> dict[str, bytes]:
    """The files of a tar.gz in S3."""

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with tempfile.TemporaryDirectory() as folder:
        session.download_data(folder, bucket, key)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as tar:
            opened = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
            return {name: file.read() for name, file in opened.items() if file is not None}


def packed(name: str) -> bytes:
    """A model.tar.gz with a handler that answers its name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, text in (("name.txt", name), ("code/inference.py", HANDLER)):
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()
