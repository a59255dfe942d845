"""What the tests of Lambda share: a role that Lambda may assume, handlers as zips, functions that are active."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess

RUNTIME = "python3.12"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ECHO = "def handler(event, context):\n    return event\n"
"""A handler that answers with its event."""


def zipped(files: Mapping[str, str | bytes] | str) -> bytes:
    """A zip of files; a text alone is app.py, whose `handler` is app.handler."""
    members = {"app.py": files} if isinstance(files, str) else files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            # The same files give the same bytes, whenever they are zipped.
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unique(prefix: str = "function") -> str:
    """A name of a test's own."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def refusal(call: Any, /, **params: Any) -> tuple[str, str]:
    """Code and message of the error that a call is answered with."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


class Bench:
    """One role of a cloud, and functions made with it."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.cloud = cloud
        self.client = cloud.client("lambda")
        self.iam = cloud.client("iam")
        self.role_name = unique("lambda")
        self.role_arn = self.role(self.role_name)

    def role(self, name: str, trust: Mapping[str, Any] = TRUST) -> str:
        """Make a role that may write logs; its ARN."""
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        return str(made["Role"]["Arn"])

    def request(self, code: Mapping[str, str | bytes] | str = ECHO, **changes: Any) -> dict[str, Any]:
        """A CreateFunction request whose code is `code`, with members by keyword."""
        return {
            "FunctionName": unique(),
            "Runtime": RUNTIME,
            "Role": self.role_arn,
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped(code)},
            **changes,
        }

    def create(self, code: Mapping[str, str | bytes] | str = ECHO, **changes: Any) -> str:
        """Create a function and wait until it is active; its name."""
        name = str(self.client.create_function(**self.request(code, **changes))["FunctionName"])
        self.active(name)
        return name

    def active(self, name: str, **qualifier: Any) -> None:
        """Wait until a function (or with Qualifier a version of it) is active and its last update is done."""
        for waiter in ("function_active_v2", "function_updated_v2"):
            self.client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"Delay": 0.05}, **qualifier)

    def arn(self, name: str, qualifier: str = "") -> str:
        """The ARN of a function, a version or an alias."""
        suffix = f":{qualifier}" if qualifier else ""
        return f"arn:aws:lambda:{self.cloud.region}:{self.cloud.account_id}:function:{name}{suffix}"
