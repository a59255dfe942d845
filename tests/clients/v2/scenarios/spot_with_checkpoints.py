"""Managed spot training with checkpoints in S3: the second run goes on where the first one ended."""

import contextlib
import io
import json

import sagemaker
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader

checkpoints = f"s3://{sagemaker.Session().default_bucket()}/spot/checkpoints"


def run():
    """One training on spot instances; its log."""
    estimator = PyTorch(
        entry_point="code/checkpoint.py",
        role=sagemaker.get_execution_role(),
        framework_version="1.13.1",
        py_version="py39",
        instance_count=1,
        instance_type="ml.m5.xlarge",
        use_spot_instances=True,
        max_run=600,
        max_wait=1200,
        checkpoint_s3_uri=checkpoints,
    )
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        estimator.fit()
    print(screen.getvalue())
    return estimator, screen.getvalue()


estimator, log = run()
assert "begins at epoch 0" in log
assert "Managed Spot Training savings: " in log
described = estimator.latest_training_job.describe()
assert described["EnableManagedSpotTraining"] is True
assert described["BillableTimeInSeconds"] <= described["TrainingTimeInSeconds"]
assert described["CheckpointConfig"]["S3Uri"] == checkpoints
assert json.loads(S3Downloader.read_file(f"{checkpoints}/state.json")) == {"epoch": 2}

_, log = run()
assert "begins at epoch 3" in log
assert json.loads(S3Downloader.read_file(f"{checkpoints}/state.json")) == {"epoch": 5}
