"""What the tests of invocations share: calls, refusals, callers with a policy, metrics, a gate for handlers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests import waiting
from tests.cloud.lambda_functions import Bench, unique
from tests.cloud_process import CloudProcess

LIMIT = 120.0
"""Seconds after which what has not happened will not (a busy machine is no fault)."""

wait_for = partial(waiting.wait_for, limit=LIMIT)

PATIENT = 300
"""Timeout of functions whose handlers wait for the test."""


def call(client: Any, name: str, event: Any = None, **request: Any) -> Any:
    """The handler's answer; the test fails when the handler did."""
    payload = json.dumps({} if event is None else event)
    answer = client.invoke(FunctionName=name, Payload=payload, **request)
    document = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, document
    return document


def refusal(operation: Callable[..., Any], **request: Any) -> dict[str, Any]:
    """Code, message, status and whatever else the refusal of a request says."""
    with pytest.raises(ClientError) as caught:
        operation(**request)
    answer = caught.value.response
    metadata = answer["ResponseMetadata"]
    return {**answer, **answer["Error"], "status": metadata["HTTPStatusCode"], "headers": metadata["HTTPHeaders"]}


def refused(operation: Callable[..., Any], **request: Any) -> tuple[str, int]:
    """Code and status of a refusal."""
    answer = refusal(operation, **request)
    return answer["Code"], answer["status"]


def many(cloud: CloudProcess, connections: int) -> Any:
    """A client that may have this many calls under way, and makes each once."""
    once = {"total_max_attempts": 1, "mode": "standard"}
    return cloud.client("lambda", config=Config(max_pool_connections=connections, read_timeout=LIMIT, retries=once))


def caller(cloud: CloudProcess, *statements: dict[str, Any], service: str = "lambda", **options: Any) -> Any:
    """A client with the keys of a new user who has just these statements."""
    keys = user_keys(cloud, *statements)
    return cloud.client(
        service, aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], **options
    )


def user_keys(cloud: CloudProcess, *statements: dict[str, Any]) -> dict[str, Any]:
    """The keys of a new user who has just these statements."""
    iam = cloud.client("iam")
    name = unique("caller")
    iam.create_user(UserName=name)
    if statements:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
    return dict(iam.create_access_key(UserName=name)["AccessKey"])


def allow(action: str | list[str], resource: str | list[str], **members: Any) -> dict[str, Any]:
    """A statement."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **members}


def grant(bench: Bench, *statements: dict[str, Any]) -> None:
    """Let the role of the functions do more."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    bench.iam.put_role_policy(RoleName=bench.role_name, PolicyName=unique("grant"), PolicyDocument=json.dumps(document))


def metric(cloud: CloudProcess, name: str, statistic: str = "Sum", **dimensions: str) -> float:
    """One statistic of a metric of AWS/Lambda over all that there is."""
    now = datetime.now(UTC)
    points = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(hours=2),
        EndTime=now + timedelta(hours=22),
        Period=86400,
        Statistics=[statistic],
    )["Datapoints"]
    values = [point[statistic] for point in points]
    return float(max(values) if statistic == "Maximum" else sum(values)) if values else 0.0


AT_THE_GATE = """
import os
import urllib.request
def handler(event, context):
    urllib.request.urlopen(event).read()
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""
"""A handler that goes through the gate whose address is its event, and says how its environment was made."""


class Gate:
    """A loopback address at which handlers wait until the test lets them pass."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.posted: list[Any] = []
        """The JSON that came with those who posted some."""
        self._open = threading.Event()
        gate = self

        class Guard(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                gate.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.do_GET()

            def do_GET(self) -> None:
                gate.arrived.append(self.path)
                gate._open.wait(LIMIT)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 512

        self._server = Server(("127.0.0.1", 0), Guard)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def address(self, name: str = "") -> str:
        """The event of whoever is to wait here."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def open(self) -> None:
        """Let all pass, who wait and who come."""
        self._open.set()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """The results of `count` calls that are made at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))
