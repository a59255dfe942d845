"""Models and endpoints as the tests make them: tiny handlers in plain Python, packed as SageMaker packs them."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import threading
import time
import uuid
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.cloud_process import CloudProcess

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
ANSWER = """
def model_fn(model_dir): return {answer!r}
def transform_fn(model, data, content_type, accept): return model, "text/plain"
"""
HOLD = """
import os, time
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    path = data.decode()
    open(path + "." + str(time.monotonic_ns()) + ".begun", "w").close()
    while not os.path.exists(path): time.sleep(0.005)
    return "done"
"""
"""Answers when the file that its body names is there, and leaves a file when it has begun."""
NOTED = """
import os, time
notes = os.open({notes!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    os.write(notes, data + b"\\n")
    time.sleep({seconds})
    return "x", "text/plain"
"""
"""Takes its time, and notes each body as soon as it begins: one that is there twice was handled twice."""


def permissions(bucket: str) -> dict[str, Any]:
    """All that an endpoint does with its role: it reads its model, and logs."""
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"},
            {"Effect": "Allow", "Action": logs, "Resource": "arn:aws:logs:*:*:log-group:/aws/sagemaker/Endpoints/*"},
        ],
    }


def answering(answer: str) -> str:
    """A handler that always says `answer`."""
    return ANSWER.format(answer=answer)


def archive(code: str, **files: bytes) -> bytes:
    """A model.tar.gz with code/inference.py and other members, and the root member that AWS's SDK packs."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        root = tarfile.TarInfo("/")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(root)
        for name, content in {"code/inference.py": code.encode(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@cache
def _client(cloud: CloudProcess, service: str) -> Any:
    """A client for all tests of a cloud: making one costs more than most tests."""
    return cloud.client(service, config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20))


class Hosting:
    """One test's bucket, role and endpoints in a cloud; every name has a prefix of its own."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.cloud = cloud
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        self.sagemaker = _client(cloud, "sagemaker")
        self.runtime = _client(cloud, "sagemaker-runtime")
        self.s3 = _client(cloud, "s3")
        self.bucket = f"{self.prefix}-models"
        self.s3.create_bucket(Bucket=self.bucket)
        iam = _client(cloud, "iam")
        role = iam.create_role(RoleName=self.prefix, AssumeRolePolicyDocument=json.dumps(TRUST))
        self.role_arn = role["Role"]["Arn"]
        iam.put_role_policy(
            RoleName=self.prefix, PolicyName="hosting", PolicyDocument=json.dumps(permissions(self.bucket))
        )

    def name(self, name: str) -> str:
        """A name that no other test has."""
        return f"{self.prefix}-{name}"

    def upload(self, name: str, code: str, **files: bytes) -> str:
        """Put a model.tar.gz, and return its address."""
        self.s3.put_object(Bucket=self.bucket, Key=f"{name}/model.tar.gz", Body=archive(code, **files))
        return f"s3://{self.bucket}/{name}/model.tar.gz"

    def model(self, name: str, code: str, environment: dict[str, str] | None = None, **files: bytes) -> str:
        """Create a model around a handler; its full name."""
        container = {
            "Image": IMAGE,
            "ModelDataUrl": self.upload(name, code, **files),
            "Environment": environment or {},
        }
        self.sagemaker.create_model(
            ModelName=self.name(name), ExecutionRoleArn=self.role_arn, PrimaryContainer=container
        )
        return self.name(name)

    def variant(self, model: str, **members: Any) -> dict[str, Any]:
        """A production variant on one ml.m5.large, unless `members` say otherwise."""
        return {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            **members,
        }

    def config(self, name: str, *variants: dict[str, Any]) -> str:
        """Create an endpoint configuration; its full name."""
        self.sagemaker.create_endpoint_config(EndpointConfigName=self.name(name), ProductionVariants=list(variants))
        return self.name(name)

    def create(self, name: str, config: str) -> str:
        """Create an endpoint without waiting; its full name."""
        self.sagemaker.create_endpoint(EndpointName=self.name(name), EndpointConfigName=config)
        return self.name(name)

    def endpoint(self, name: str, code: str, environment: dict[str, str] | None = None, **members: Any) -> str:
        """A model, a configuration and an endpoint in service; the endpoint's full name."""
        model = self.model(name, code, environment)
        endpoint = self.create(name, self.config(name, self.variant(model, **members)))
        assert self.settled(endpoint)["EndpointStatus"] == "InService"
        return endpoint

    def settled(self, endpoint: str) -> dict[str, Any]:
        """The description of an endpoint once nothing is under way any more."""
        deadline = time.monotonic() + 120
        while True:
            described: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=endpoint)
            if described["EndpointStatus"] in ("InService", "Failed"):
                return described
            assert time.monotonic() < deadline, described
            time.sleep(0.02)

    def gone(self, endpoint: str) -> None:
        """Wait until the endpoint has been deleted."""
        deadline = time.monotonic() + 120
        while True:
            try:
                self.sagemaker.describe_endpoint(EndpointName=endpoint)
            except ClientError as error:
                if "Could not find endpoint" in str(error):
                    return
                raise
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def invoke(self, endpoint: str, body: bytes | str = b"", **members: Any) -> str:
        """The answer to one invocation as text."""
        asked = {"ContentType": "application/octet-stream", **members}
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **asked)
        text: str = answer["Body"].read().decode()
        return text

    def processes(self, endpoint: str) -> list[int]:
        """The process ids of the endpoint's model servers: what runs below the first processes of its hosts."""
        import psutil

        found = []
        for init in psutil.process_iter(["cmdline"]):
            if f"/{endpoint}.i-" not in " ".join(init.info["cmdline"] or []):
                continue
            try:
                for process in init.children():
                    command = process.cmdline()
                    if len(command) == 2 and command[1].endswith("model_server"):
                        found.append(process.pid)
            except psutil.NoSuchProcess:
                continue
        return found

    def sent(self, endpoint: str) -> dict[int, int]:
        """Of each model server the connections that the cloud has to it: as many as requests at a time, and /ping."""
        import psutil

        assert self.cloud.process is not None
        made = psutil.Process(self.cloud.process.pid).net_connections("tcp")
        to = Counter(one.raddr.port for one in made if one.raddr and one.status == psutil.CONN_ESTABLISHED)
        found = {}
        for pid in self.processes(endpoint):
            with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):  # it has no port yet, or has ended
                found[pid] = to[int((Path(psutil.Process(pid).cwd()) / "port").read_text())]
        return found

    def delete(self, endpoint: str) -> None:
        """Delete an endpoint and wait until it is gone."""
        self.sagemaker.delete_endpoint(EndpointName=endpoint)
        self.gone(endpoint)


class Traffic:
    """Invokes an endpoint without pause from a few threads and counts the answers; a dead server gives none.

    Every request has a body of its own.
    """

    def __init__(self, hosting: Hosting, endpoint: str, threads: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self._stop = threading.Event()
        self._hosting = hosting
        self._endpoint = endpoint
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._hosting.invoke(self._endpoint, uuid.uuid4().hex)
            except ClientError as error:
                answer = str(error)
            except BotoCoreError as error:
                answer = f"no connection: {type(error).__name__}"
            self.answers[answer] += 1


def begun(folder: Path) -> int:
    """How many HOLD handlers have begun with a body below `folder`."""
    return len(list(folder.glob("*.begun")))
