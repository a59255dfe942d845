"""Notebook instances as the tests make them, and a browser's part: the link, the cookie, a kernel that runs code."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import psutil
import requests
import websocket

from tests.cloud.hosting import TRUST
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

UP_LIMIT = 180.0
_ON_THE_WAY = ("Pending", "InService", "Stopping", "Stopped", "Updating")
GROUP = "/aws/sagemaker/NotebookInstances"


class Notebooks:
    """Makes notebook instances on one cloud."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.cloud = cloud
        self.sagemaker = cloud.client("sagemaker")
        self.logs = cloud.client("logs")
        self.role = self._role()

    def _role(self) -> str:
        iam, name = self.cloud.client("iam"), f"notebook-{uuid.uuid4().hex[:8]}"
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
        return arn

    def config(self, **scripts: str) -> str:
        """A lifecycle configuration of OnCreate and OnStart scripts; its name."""
        name = f"scripts-{uuid.uuid4().hex[:8]}"
        given = {hook: [{"Content": base64.b64encode(text.encode()).decode()}] for hook, text in scripts.items()}
        self.sagemaker.create_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name, **given)
        return name

    def create(self, **members: Any) -> str:
        """A new instance, as soon as it is asked for; its name."""
        name: str = members.pop("name", f"notebook-{uuid.uuid4().hex[:8]}")
        self.sagemaker.create_notebook_instance(
            **{"NotebookInstanceName": name, "InstanceType": "ml.m5.xlarge", "RoleArn": self.role, **members}
        )
        return name

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_notebook_instance(NotebookInstanceName=name)
        return found

    def wait(self, name: str, status: str) -> dict[str, Any]:
        """The instance once it has this status; one that has failed instead says why."""

        def reached() -> dict[str, Any] | None:
            found = self.describe(name)
            now = found["NotebookInstanceStatus"]
            assert now in (status, *_ON_THE_WAY), found
            return found if now == status else None

        found: dict[str, Any] = wait_for(reached, f"{name} to be {status}", limit=UP_LIMIT)
        return found

    def stop(self, name: str) -> None:
        self.sagemaker.stop_notebook_instance(NotebookInstanceName=name)
        self.wait(name, "Stopped")

    def delete(self, name: str) -> None:
        self.sagemaker.delete_notebook_instance(NotebookInstanceName=name)
        wait_for(lambda: name not in self.names(), f"{name} to be gone")

    def names(self) -> list[str]:
        pages = self.sagemaker.get_paginator("list_notebook_instances").paginate()
        return [one["NotebookInstanceName"] for page in pages for one in page["NotebookInstances"]]

    def link(self, name: str, **members: Any) -> str:
        url: str = self.sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName=name, **members)[
            "AuthorizedUrl"
        ]
        return url

    def folder(self, name: str) -> Path:
        """Where all of an instance lies."""
        return self.cloud.data_dir / "sagemaker" / "notebooks" / f"us-east-1.{name}"

    def machine(self, name: str) -> psutil.Process:
        """The process below which an instance's programs run."""
        return psutil.Process(json.loads((self.folder(name) / "run" / "init.json").read_text())["pid"])

    def lines(self, name: str, stream: str) -> list[str]:
        """What a stream of the instance holds; none before there is one."""
        found = self.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/{stream}")["logStreams"]
        if not found:
            return []
        events = self.logs.get_log_events(
            logGroupName=GROUP, logStreamName=found[0]["logStreamName"], startFromHead=True
        )
        return [event["message"] for event in events["events"]]


class Browser:
    """Opens a link, keeps its cookie, and speaks to JupyterLab as its pages do."""

    def __init__(self, link: str) -> None:
        self.base = link.split("/login", 1)[0]
        self.session = requests.Session()
        self.opened = self.session.get(link, timeout=60)

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.base + path, timeout=60)

    def file(self, path: str) -> str:
        """The text of a file in the instance's folder."""
        content: str = self.get(f"/api/contents/{path}?type=file&format=text").json()["content"]
        return content

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        """A request of JupyterLab's API, with the token against forgery that its pages send."""
        headers = {"X-XSRFToken": self.session.cookies.get("_xsrf", "")}
        return self.session.request(method, self.base + path, json=body, headers=headers, timeout=60)

    def run(self, code: str) -> str:
        """What a new kernel prints when it runs the code; an error of the code fails."""
        kernel = self.kernel()
        channel = self.channel(kernel, self.base)
        try:
            header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "s"}
            content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
            message = {"header": {**header, "version": "5.3"}, "parent_header": {}, "metadata": {}, "content": content}
            channel.send(json.dumps({**message, "channel": "shell", "buffers": []}))
            return _printed(channel, header["msg_id"])
        finally:
            channel.close()
            self.send("DELETE", f"/api/kernels/{kernel}")

    def kernel(self) -> str:
        """The id of a new kernel."""
        found: str = self.send("POST", "/api/kernels", {"name": "python3", "path": ""}).json()["id"]
        return found

    def channel(self, kernel: str, origin: str, **given: Any) -> Any:
        """The websocket of a kernel, as a page of `origin` opens it."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.session.cookies.items())
        address = f"{self.base.replace('http', 'ws')}/api/kernels/{kernel}/channels"
        return websocket.create_connection(address, timeout=300, origin=origin, **{"cookie": cookie, **given})


def _printed(channel: Any, request: str) -> str:
    printed = ""
    while True:
        message = json.loads(channel.recv())
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            printed += content["text"]
        elif kind == "error":
            raise AssertionError("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            return printed
