"""wait=False: a job that is joined from elsewhere by its name, and one that is stopped and keeps what it saved."""

import contextlib
import io
import tarfile
import tempfile
import time
from pathlib import Path

import boto3
import sagemaker
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader

common = {
    "role": sagemaker.get_execution_role(),
    "framework_version": "1.13.1",
    "py_version": "py39",
    "instance_count": 1,
    "instance_type": "ml.m5.large",
}

endless = PyTorch(entry_point="code/endless.py", base_job_name="endless", **common)
endless.fit(wait=False)
short = PyTorch(
    entry_point="steps.py",
    source_dir="code",
    base_job_name="short",
    hyperparameters={"steps": 3, "name": "x"},
    **common,
)
short.fit(wait=False)

attached = PyTorch.attach(short.latest_training_job.name)
assert attached.model_data == short.model_data
assert attached.entry_point == "steps.py"
assert attached.source_dir.endswith("sourcedir.tar.gz")
assert attached.framework_version == "1.13.1"
assert attached.py_version == "py39"
assert attached.hyperparameters()["steps"] == "3"
assert attached.instance_type == "ml.m5.large"
screen = io.StringIO()
with contextlib.redirect_stdout(screen):
    attached.logs()
assert [line.rpartition(": ")[2] for line in screen.getvalue().splitlines() if "x: step" in line] == [
    "step 0",
    "step 1",
    "step 2",
]

logs = boto3.client("logs")
# It is told to end only when it can hear that.
while not logs.filter_log_events(
    logGroupName="/aws/sagemaker/TrainingJobs",
    logStreamNamePrefix=f"{endless.latest_training_job.name}/",
    filterPattern="begun",
)["events"]:
    assert endless.latest_training_job.describe()["TrainingJobStatus"] == "InProgress"
    time.sleep(1)
endless.latest_training_job.stop()
endless.latest_training_job.wait(logs="None")
described = endless.latest_training_job.describe()
assert described["TrainingJobStatus"] == "Stopped", described
assert described["SecondaryStatusTransitions"][-1]["Status"] == "Stopped"
with tempfile.TemporaryDirectory() as folder:
    S3Downloader.download(endless.model_data, folder)
    with tarfile.open(Path(folder) / "model.tar.gz") as tar:
        assert any(name.endswith("half.txt") for name in tar.getnames()), tar.getnames()
