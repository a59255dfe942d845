"""Spot instances with checkpoints: a second job goes on where the first has ended."""

import sagemaker
from sagemaker.pytorch import PyTorch
from shared import CODE, described, log_of, says

session = sagemaker.Session()
checkpoints = f"s3://{session.default_bucket()}/spot/checkpoints"


def trained(epochs):
    estimator = PyTorch(
        entry_point=str(CODE / "spot.py"),
        base_job_name="spot",
        role=sagemaker.get_execution_role(),
        framework_version="1.13.1",
        py_version="py39",
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={"epochs": epochs},
        use_spot_instances=True,
        max_run=600,
        max_wait=1200,
        checkpoint_s3_uri=checkpoints,
    )
    estimator.fit(logs="None")
    return described(estimator)


first = trained(2)
assert first["EnableManagedSpotTraining"] is True
assert first["CheckpointConfig"]["S3Uri"] == checkpoints
assert first["BillableTimeInSeconds"] <= first["TrainingTimeInSeconds"]
log = log_of(first["TrainingJobName"])
says(log, "beginning without a checkpoint")
says(log, "epoch 2 done")
log = log_of(trained(3)["TrainingJobName"])
says(log, "going on after epoch 2")
says(log, "epoch 3 done")
assert "epoch 2 done" not in log
