"""One training with all that an estimator can be given, its log on the screen, and what is left of it."""

import contextlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Downloader

session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()

with tempfile.TemporaryDirectory() as folder:
    points = Path(folder) / "points.csv"
    points.write_text("x,y\n" + "".join(f"{x},{3 * x + 1}\n" for x in (-2, -1, 0, 1, 2)))
    inputs = session.upload_data(path=str(points), bucket=bucket, key_prefix="train-with-logs/data")
assert inputs == f"s3://{bucket}/train-with-logs/data/points.csv", inputs

estimator = PyTorch(
    entry_point="train.py",
    source_dir="code/linear",
    dependencies=["code/shared/reporting"],
    base_job_name="line",
    role=role,
    framework_version="1.13.1",
    py_version="py39",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    hyperparameters={"epochs": 20, "learning-rate": 0.05, "title": 'a "quoted" title'},
    metric_definitions=[
        {"Name": "train:loss", "Regex": "Train Loss: ([0-9\\.]+);"},
        {"Name": "test:loss", "Regex": "Testing Loss: ([0-9\\.]+);"},
    ],
    environment={"GREETING": "good day", "SM_CHANNEL_TRAINING": "s3://nowhere/"},  # SM_* is the container's own
    tags=[{"Key": "team", "Value": "points"}],
    max_run=3600,
)
screen = io.StringIO()
with contextlib.redirect_stdout(screen):
    estimator.fit({"training": inputs})
log = screen.getvalue()
print(log)

name = estimator.latest_training_job.name
assert name.startswith("line-"), name
for status in ("Starting - Starting the training job", "Downloading - ", "Training - ", "Uploading - ", "Completed - "):
    assert status in log, f"the SDK tells the job's secondary statuses: no {status}"
assert log.count("Train Loss: ") == 20
assert log.count("Testing Loss: ") == 20, "what the script writes to stderr is in the log as well"
assert "epoch 19 is over" in log
told = next(line for line in log.splitlines() if "hyperparameters: " in line)
assert json.loads(told.partition("hyperparameters: ")[2]) == {
    "epochs": 20,
    "learning-rate": 0.05,
    "title": 'a "quoted" title',
}
assert "Training seconds: " in log
assert "Billable seconds: " in log

described = estimator.latest_training_job.describe()
assert described["TrainingJobStatus"] == "Completed"
assert described["AlgorithmSpecification"]["TrainingImage"].endswith("/pytorch-training:1.13.1-cpu-py39")
assert described["DebugHookConfig"]["S3OutputPath"] == f"s3://{bucket}/", "the SDK's defaults, never asked for"
assert described["ProfilerConfig"]["DisableProfiler"] is False
assert [step["Status"] for step in described["SecondaryStatusTransitions"]][-1] == "Completed"
final = {metric["MetricName"]: metric["Value"] for metric in described["FinalMetricDataList"]}
assert 0 <= final["test:loss"] < final["train:loss"] < 1, final
tags = session.sagemaker_client.list_tags(ResourceArn=described["TrainingJobArn"])["Tags"]
assert {"Key": "team", "Value": "points"} in tags

frame = TrainingJobAnalytics(name, metric_names=["train:loss"]).dataframe()
print(frame)
assert list(frame.columns) == ["timestamp", "metric_name", "value"]
assert set(frame["metric_name"]) == {"train:loss"}
assert frame["value"].iloc[0] > final["train:loss"], "a minute's average is above the last value of a falling loss"
both = estimator.training_job_analytics.dataframe()
assert set(both["metric_name"]) == {"train:loss", "test:loss"}

with tempfile.TemporaryDirectory() as folder:
    S3Downloader.download(estimator.model_data, folder)
    with tarfile.open(Path(folder) / "model.tar.gz") as tar:
        line = json.load(tar.extractfile("line.json"))
    S3Downloader.download(estimator.model_data.replace("model.tar.gz", "output.tar.gz"), folder)
    with tarfile.open(Path(folder) / "output.tar.gz") as tar:
        (notes,) = [member for member in tar.getnames() if member.endswith("notes.csv")]
        left = tar.extractfile(notes).read().decode()
assert abs(line["slope"] - 3) < 0.5, line
assert abs(line["offset"] - 1) < 0.5, line
assert "good day" in left, left

again = io.StringIO()
with contextlib.redirect_stdout(again):
    estimator.logs()
assert again.getvalue().count("Train Loss: ") == 20
