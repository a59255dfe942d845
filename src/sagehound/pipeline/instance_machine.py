"""The machine of an EC2 training: its image, its launch, its state, its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_plan import INSTANCE_TAG, has_tag
from sagehound.pipeline.names import Names
from sagehound.pipeline.waiting import poll, until_settled

LIVING = ("pending", "running", "shutting-down", "stopping", "stopped")
_KNOWN_WITHIN_SECONDS = 120.0
"""EC2 tells everywhere of an instance seconds after it was launched."""


@dataclass(frozen=True)
class Machine:
    """An instance as DescribeInstances tells it."""

    instance_id: str
    run: str
    state: str
    instance_type: str
    launched: datetime
    reason: str
    """Why it is in this state, in EC2's words; empty while it runs."""

    @property
    def ended(self) -> bool:
        """Whether it is terminated."""
        return self.state == "terminated"


def find_image(clients: Clients, image: str) -> str:
    """Id of an image by its id, by a public parameter of Systems Manager, or the latest of Amazon's with such a name.

    Raises StepFailed where there is none.
    """
    from botocore.exceptions import ClientError

    if image.startswith("ami-"):
        return image
    if image.startswith("/"):
        try:
            return str(clients.ssm.get_parameter(Name=image)["Parameter"]["Value"])
        except ClientError as error:
            if error_of(error)[0] != "ParameterNotFound":
                raise
            raise _no_image(clients, f"there is no parameter {image}") from error
    pattern = image if "*" in image else f"{image}*"
    filters = [{"Name": "name", "Values": [pattern]}, {"Name": "state", "Values": ["available"]}]
    # A deprecated image is left out of the list unless it is asked for, and can be launched all the same.
    found = clients.ec2.describe_images(Owners=["amazon"], Filters=filters, IncludeDeprecated=True)["Images"]
    if not found:
        raise _no_image(clients, f"Amazon has no image that is called {pattern}")
    return str(max(found, key=lambda each: each["CreationDate"])["ImageId"])


def launch(clients: Clients, request: dict[str, Any]) -> str:
    """Id of the instance; asked again while AWS does not know everywhere yet the profile that was made seconds ago."""
    from botocore.exceptions import ClientError

    for last in until_settled(clients.place):
        try:
            return str(clients.ec2.run_instances(**request)["Instances"][0]["InstanceId"])
        except ClientError as error:
            code, message = error_of(error)
            settling = code == "InvalidParameterValue" and "instance profile" in message.lower()
            if not settling or last:
                raise
    raise AssertionError("the last attempt returns or raises")


def launched_with(clients: Clients, token: str) -> list[str]:
    """Ids of the instances that a request with this ClientToken has launched, also where its answer was never read."""
    filters = [{"Name": "client-token", "Values": [token]}]
    pages = clients.ec2.get_paginator("describe_instances").paginate(Filters=filters)
    return [one["InstanceId"] for page in pages for group in page["Reservations"] for one in group["Instances"]]


def describe(clients: Clients, instance_id: str) -> Machine | None:
    """The instance; None where EC2 does not know it (yet, or any more)."""
    from botocore.exceptions import ClientError

    try:
        answer = clients.ec2.describe_instances(InstanceIds=[instance_id])
    except ClientError as error:
        if error_of(error)[0] == "InvalidInstanceID.NotFound":
            return None
        raise
    return _machine(answer["Reservations"][0]["Instances"][0])


def project_machines(clients: Clients, names: Names, *, run: str = "", ended: bool = False) -> list[Machine]:
    """The project's instances (of one training), the latest first; ``ended``: those that are terminated too."""
    filters = [
        {"Name": "tag-key", "Values": [INSTANCE_TAG]},
        *({"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]} for tag in names.tags[:1]),
    ]
    pages = clients.ec2.get_paginator("describe_instances").paginate(Filters=filters)
    records = (one for page in pages for group in page["Reservations"] for one in group["Instances"])
    found = [_machine(one) for one in records if has_tag(one.get("Tags", []), INSTANCE_TAG, run or None)]
    wanted = [machine for machine in found if ended or not machine.ended]
    return sorted(wanted, key=lambda machine: machine.launched, reverse=True)


def terminate(clients: Clients, instance_id: str) -> Machine | None:
    """End an instance and wait until it has ended; None where there is no such instance."""
    from botocore.exceptions import ClientError

    try:
        clients.ec2.terminate_instances(InstanceIds=[instance_id])
    except ClientError as error:
        if error_of(error)[0] == "InvalidInstanceID.NotFound":
            return None
        raise
    return poll(
        lambda: describe(clients, instance_id), lambda found: found is None or found.ended, clients.place.pauses()
    )


def watched(clients: Clients, instance_id: str) -> Iterator[Machine]:
    """The instance as it goes on, until it has ended; the last one is the terminated one."""
    until = time.monotonic() + _KNOWN_WITHIN_SECONDS
    for pause in clients.place.pauses():
        found = describe(clients, instance_id)
        if found is not None:
            until = 0.0
            yield found
        # EC2 forgets a terminated instance after an hour; one that was launched a moment ago it may not know yet.
        if found is None and time.monotonic() > until:
            return
        if found is not None and found.state in ("terminated", "stopped"):
            return
        time.sleep(pause)


def age(clients: Clients, machine: Machine) -> float:
    """Seconds since its launch, on the clock that its launch was told by."""
    return clients.clock.cloud_time(time.time()) - machine.launched.timestamp()


def _machine(record: dict[str, Any]) -> Machine:
    tags = {tag["Key"]: tag["Value"] for tag in record.get("Tags", [])}
    reason = record.get("StateReason", {}).get("Message") or record.get("StateTransitionReason", "")
    return Machine(
        instance_id=record["InstanceId"],
        run=tags.get(INSTANCE_TAG, ""),
        state=record["State"]["Name"],
        instance_type=record["InstanceType"],
        launched=record["LaunchTime"],
        reason=str(reason),
    )


def _no_image(clients: Clients, cause: str) -> StepFailed:
    return StepFailed(
        "instance",
        f"{cause} in {clients.region}",
        "Set instance.image: an ami-... id, a parameter such as "
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.10-amazon-linux-2023/latest/ami-id, "
        "or the beginning of an image's name.",
    )
