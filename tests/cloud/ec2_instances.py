"""Instances of a test: launched from an image by its name, waited for, and terminated whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from tests.cloud_process import START_LIMIT, CloudProcess

DEEP_LEARNING = "Deep Learning OSS Nvidia Driver AMI GPU PyTorch*(Amazon Linux 2023)*"


class Machines:
    """Launches instances on a cloud, and removes them."""

    def __init__(self, cloud: CloudProcess, region: str = "us-east-1") -> None:
        self.cloud = cloud
        self.region = region
        self.ids: list[str] = []

    @cached_property
    def ec2(self) -> Any:
        """One client for all: making one takes as long as an instance takes to boot."""
        return self.cloud.client("ec2", region_name=self.region)

    def image(self, name: str = DEEP_LEARNING, architecture: str = "x86_64") -> str:
        """The id of the newest image of a name."""
        filters = [{"Name": "name", "Values": [name]}, {"Name": "architecture", "Values": [architecture]}]
        found = self.ec2.describe_images(Filters=filters)["Images"]
        return str(max(found, key=lambda image: image["CreationDate"])["ImageId"])

    def run(self, script: str | bytes | None = None, **options: Any) -> dict[str, Any]:
        """One instance, as RunInstances answers it."""
        request: dict[str, Any] = {"ImageId": self.image(), "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
        if script is not None:
            request["UserData"] = script
        answer = self.ec2.run_instances(**{**request, **options})
        self.ids += [instance["InstanceId"] for instance in answer["Instances"]]
        return dict(answer["Instances"][0])

    def get(self, instance_id: str) -> dict[str, Any]:
        """An instance as it is now."""
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        return dict(answer["Reservations"][0]["Instances"][0])

    def wait(self, instance_id: str, state: str) -> dict[str, Any]:
        """The instance once it is in a state."""
        return until(lambda: self.get(instance_id), lambda instance: instance["State"]["Name"] == state)

    def console(self, instance_id: str, line: str) -> str:
        """The console once it has a text."""

        def read() -> str:
            return str(self.ec2.get_console_output(InstanceId=instance_id).get("Output", ""))

        return until(read, lambda text: line in text)

    def root(self, instance_id: str) -> Path:
        """Where everything of an instance lies."""
        return self.cloud.data_dir / "instances" / instance_id

    def processes(self, instance_id: str) -> list[psutil.Process]:
        """Those that have the instance's root among their arguments, the outermost one first."""
        root = str(self.root(instance_id))
        found = [
            process
            for process in psutil.process_iter(["cmdline", "create_time"])
            if any(root in part for part in process.info["cmdline"] or ())
        ]
        return sorted(found, key=lambda process: float(process.info["create_time"]))

    def remove(self) -> None:
        """Terminate all, and see them gone."""
        if not self.ids:
            return
        for instance in self._there():
            if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                request = {"InstanceId": instance["InstanceId"], "DisableApiTermination": {"Value": False}}
                self.ec2.modify_instance_attribute(**request)
        if left := [instance["InstanceId"] for instance in self._there()]:
            self.ec2.terminate_instances(InstanceIds=left)
        until(self._there, lambda found: all(item["State"]["Name"] == "terminated" for item in found))

    def _there(self) -> list[dict[str, Any]]:
        known = self.ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": self.ids}])
        return [item for group in known["Reservations"] for item in group["Instances"]]


def until(read: Callable[[], Any], there: Callable[[Any], bool]) -> Any:
    """What `read` gives once it is `there`; fails with the last thing that it gave."""
    deadline = time.monotonic() + START_LIMIT
    while not there(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found
