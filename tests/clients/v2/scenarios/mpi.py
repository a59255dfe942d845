"""distribution={"mpi": ...}: two processes on each of two instances, each instance with its share of the objects."""

import contextlib
import io
import re

import sagemaker
from sagemaker.inputs import TrainingInput
from sagemaker.pytorch import PyTorch
from sagemaker.s3 import S3Uploader

bucket = sagemaker.Session().default_bucket()
parts = f"s3://{bucket}/mpi/parts"
for number in range(4):
    S3Uploader.upload_string_as_file_body(f"part {number}", f"{parts}/{number}.txt")

estimator = PyTorch(
    entry_point="code/ranks.py",
    role=sagemaker.get_execution_role(),
    framework_version="2.2.0",
    py_version="py310",
    instance_count=2,
    instance_type="ml.m5.large",
    distribution={
        "mpi": {"enabled": True, "processes_per_host": 2, "custom_mpi_options": "-x GREETING=hello --NCCL_DEBUG WARN"}
    },
)
screen = io.StringIO()
with contextlib.redirect_stdout(screen):
    estimator.fit({"parts": TrainingInput(parts, distribution="ShardedByS3Key", content_type="text/plain")})
log = screen.getvalue()
print(log)

said = re.findall(r"rank (\d) of 4, (\d) of (algo-\d), hello: (.*)", log)
assert sorted((rank, local, host) for rank, local, host, _ in said) == [
    ("0", "0", "algo-1"),
    ("1", "1", "algo-1"),
    ("2", "0", "algo-2"),
    ("3", "1", "algo-2"),
]
shares = {host: files.split() for _, _, host, files in said}
assert sorted(shares["algo-1"] + shares["algo-2"]) == ["0.txt", "1.txt", "2.txt", "3.txt"]
assert shares["algo-1"]
assert shares["algo-2"]
