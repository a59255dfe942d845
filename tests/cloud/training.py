"""What the tests of training jobs share: a role, a bucket, small scripts as sourcedir.tar.gz, waiting, logs."""

from __future__ import annotations

import io
import json
import tarfile
import time
import uuid
from pathlib import Path
from typing import Any

from tests.cloud_process import CloudProcess

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
LIMIT = 120.0
"""Seconds after which a job that has not come to its end counts as broken."""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def archive(files: dict[str, str]) -> bytes:
    """A tar.gz of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Workshop:
    """One bucket and one role of a cloud, and training jobs made with them."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.cloud = cloud
        self.sagemaker = cloud.client("sagemaker")
        self.s3 = cloud.client("s3")
        self.logs = cloud.client("logs")
        # AmazonSageMakerFullAccess is about buckets with `sagemaker` in their names.
        self.bucket = f"sagemaker-training-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.role_arn = self._role()

    def _role(self) -> str:
        iam = self.cloud.client("iam")
        name = f"training-{uuid.uuid4().hex[:12]}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
        return str(arn)

    def put(self, key: str, body: bytes | str) -> None:
        """Store an object."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def channel(self, name: str, prefix: str, **changes: Any) -> dict[str, Any]:
        """A channel of the objects below a prefix; S3DataSource members by keyword, InputMode too."""
        mode = {"InputMode": changes.pop("InputMode")} if "InputMode" in changes else {}
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{prefix}", **changes}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **mode}

    def request(self, script: str, **changes: Any) -> dict[str, Any]:
        """A CreateTrainingJob request whose script is `script`; `files`, `hyperparameters`, `count` and members."""
        name = changes.pop("name", f"job-{uuid.uuid4().hex[:12]}")
        files = {"train.py": script, **changes.pop("files", {})}
        self.put(f"code/{name}/sourcedir.tar.gz", archive(files))
        submitted = {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"s3://{self.bucket}/code/{name}/sourcedir.tar.gz"',
        }
        algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", **changes.pop("algorithm", {})}
        return {
            "TrainingJobName": name,
            "RoleArn": self.role_arn,
            "AlgorithmSpecification": algorithm,
            "HyperParameters": {**submitted, **changes.pop("hyperparameters", {})},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": changes.pop("count", 1),
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": changes.pop("limit", 3600)},
            **changes,
        }

    def create(self, script: str, **changes: Any) -> str:
        """Create a job; its name."""
        request = self.request(script, **changes)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def run(self, script: str, **changes: Any) -> dict[str, Any]:
        """Create a job and wait for its end; its description."""
        return self.ended(self.create(script, **changes))

    def describe(self, name: str) -> dict[str, Any]:
        """DescribeTrainingJob."""
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def ended(self, name: str) -> dict[str, Any]:
        """The description of a job once it is over."""
        return self.until(name, lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"))

    def until(self, name: str, reached: Any) -> dict[str, Any]:
        """The description of a job once `reached` says so."""
        deadline = time.monotonic() + LIMIT
        while not reached(job := self.describe(name)):
            assert time.monotonic() < deadline, (
                f"{job['TrainingJobStatus']} {job['SecondaryStatus']}: {self.lines(name)}"
            )
            time.sleep(0.05)
        return job

    def until_line(self, name: str, text: str) -> None:
        """Wait until the job's log holds a line with `text`."""
        deadline = time.monotonic() + LIMIT
        while not any(text in line for line in self.lines(name)):
            assert time.monotonic() < deadline, f"no {text!r} in {self.lines(name)}: {self.describe(name)}"
            time.sleep(0.05)

    def lines(self, name: str, host: str = "") -> list[str]:
        """The log of a job, or of one of its hosts."""
        try:
            pages = self.logs.get_paginator("filter_log_events").paginate(
                logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/{host}"
            )
            return [event["message"] for page in pages for event in page["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def printed(self, name: str, host: str = "algo-1") -> Any:
        """The JSON that the script printed behind `RESULT`."""
        results = [line.removeprefix("RESULT ") for line in self.lines(name, host) if line.startswith("RESULT ")]
        return json.loads(results[-1])

    def model(self, job: dict[str, Any]) -> dict[str, bytes]:
        """The files of a job's model.tar.gz."""
        return self.unpacked(job["ModelArtifacts"]["S3ModelArtifacts"])

    def unpacked(self, uri: str) -> dict[str, bytes]:
        """The files of a tar.gz in S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]

    def folders(self) -> list[Path]:
        """The folders of jobs that are still on the machine."""
        return list((self.cloud.data_dir / "training").glob("*/*"))
