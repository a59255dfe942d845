"""Instances that take commands: running, with a role that lets their agent speak to Systems Manager."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ssm.errors import invalid_filter_key
from sagehound.localcloud.services.ssm.needs import Machine, Machines, RoleAccess, RoleTrust
from sagehound.localcloud.services.ssm.paging import page
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)
_EC2 = "ec2.amazonaws.com"
_PAGE = 50
_FILTERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "InstanceIds": lambda shown: str(shown["InstanceId"]),
    "PingStatus": lambda shown: str(shown["PingStatus"]),
    "PlatformTypes": lambda shown: str(shown["PlatformType"]),
    "ResourceType": lambda shown: str(shown["ResourceType"]),
    "SourceIds": lambda shown: str(shown["SourceId"]),
    "SourceTypes": lambda shown: str(shown["SourceType"]),
}


class Fleet:
    """The managed instances; there are no others than EC2's."""

    def __init__(self, machines: Machines, roles: RoleTrust, access: RoleAccess, clock: Clock, account_id: str) -> None:
        self._machines = machines
        self._roles = roles
        self._access = access
        self._clock = clock
        self._account_id = account_id

    def DescribeInstanceInformation(self, call: Call, request: Request) -> Response:
        """The instances whose agent is there, by id."""
        filters = [(given["key"], given["valueSet"]) for given in request.get("InstanceInformationFilterList", ())]
        filters += [(given["Key"], given["Values"]) for given in request.get("Filters", ())]
        machines = {machine.instance_id: machine for machine in self.online(call.region)}
        found = [self._shown(machines[instance_id]) for instance_id in sorted(machines)]
        for key, values in filters:
            if key in _FILTERS:
                found = [shown for shown in found if _FILTERS[key](shown) in values]
            elif key.startswith("tag:") or key == "tag-key":
                found = [shown for shown in found if is_tagged(machines[shown["InstanceId"]].tags, key, values)]
            else:
                raise invalid_filter_key(key, (*_FILTERS, "tag-key", "tag:KEY"))
        return page(found, request, "InstanceInformationList", lambda shown: str(shown["InstanceId"]), _PAGE)

    def online(self, region: str) -> list[Machine]:
        """The instances that take commands now."""
        return [machine for machine in self._machines.running(region) if self._is_managed(region, machine)]

    def machine(self, region: str, instance_id: str) -> Machine | None:
        """A running instance; None when it is not running."""
        return next((one for one in self._machines.running(region) if one.instance_id == instance_id), None)

    def _is_managed(self, region: str, machine: Machine) -> bool:
        """Whether the agent can get keys, and may register (AmazonSSMManagedInstanceCore lets it)."""
        if machine.role_arn is None:
            return False
        try:
            self._roles.role_trust(machine.role_arn, _EC2)
        except AwsError as refusal:
            logger.info("instance %s is not managed: %s", machine.instance_id, refusal.message)
            return False
        arn = arns.make("ec2", region, self._account_id, f"instance/{machine.instance_id}")
        action, via = "ssm:UpdateInstanceInformation", "ssm.amazonaws.com"
        asked = machine.role_arn, machine.instance_id, action, (arn,), arn, None
        denied = self._access.denied_among(*asked, region=region, via=via, ahead=True)
        if denied is not None:
            logger.info("instance %s is not managed: %s", machine.instance_id, denied[1])
        return denied is None

    def _shown(self, machine: Machine) -> dict[str, Any]:
        """Without AgentVersion: there is no agent, the cloud itself runs the commands."""
        name, version = platform(machine.image)
        return {
            "InstanceId": machine.instance_id,
            "PingStatus": "Online",
            "LastPingDateTime": self._clock.now(),
            "IsLatestVersion": True,
            "PlatformType": "Linux",
            "PlatformName": name,
            "PlatformVersion": version,
            "ResourceType": "EC2Instance",
            "IPAddress": machine.private_ip,
            "ComputerName": machine.hostname,
            "SourceId": machine.instance_id,
            "SourceType": "AWS::EC2::Instance",
        }


def is_tagged(tags: Mapping[str, str], key: str, values: list[str]) -> bool:
    """Whether `tag:KEY` has one of the values, or `tag-key` names one of the keys."""
    if key == "tag-key":
        return any(value in tags for value in values)
    return tags.get(key.removeprefix("tag:")) in values


def platform(image: str) -> tuple[str, str]:
    """The system that the image has by its name."""
    found = re.search(r"ubuntu\D*(\d+\.\d+)", image, re.IGNORECASE)
    if found:
        return "Ubuntu", found[1]
    found = re.search(r"Amazon Linux (\d+)|al(\d{4})|amzn(\d)", image)
    return "Amazon Linux", next((text for text in found.groups() if text), "") if found else ""
