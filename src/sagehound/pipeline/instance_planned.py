"""What a plan is answered about an EC2 training: it was launched, and has ended well."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sagehound.pipeline.instance_plan import OUTCOME
from sagehound.pipeline.plan_calls import Call

PLANNED_INSTANCE = "i-0planned"
PLANNED_GROUP = "sg-0planned"
_EXPORTED = re.compile(r"^export (BUCKET|RESULT_PREFIX)=(.*)$", re.MULTILINE)


class PlannedInstances:
    """Answers about instances, their profiles and security groups, as far as a plan has made them."""

    def __init__(
        self, arn: Callable[[str, str], str], now: datetime, put_object: Callable[[str, str, bytes, int], None]
    ) -> None:
        self._arn, self._now, self._put_object = arn, now, put_object
        self._instance: dict[str, Any] = {}
        self._group: dict[str, Any] = {}
        self._profiles: dict[str, dict[str, Any]] = {}

    def answer(self, call: Call) -> dict[str, Any] | None:
        """The answer to a call; None for what was not planned here."""
        if call.service not in ("ec2", "iam"):
            return None
        method: Callable[[Any], dict[str, Any] | None] | None = getattr(self, f"_{call.operation}", None)
        return method(call.params) if method is not None else None

    def _CreateInstanceProfile(self, params: Any) -> dict[str, Any]:
        name = params["InstanceProfileName"]
        made = {"InstanceProfileName": name, "Arn": self._arn("iam", f"instance-profile/{name}"), "Roles": []}
        self._profiles[name] = {"InstanceProfile": made}
        return self._profiles[name]

    def _GetInstanceProfile(self, params: Any) -> dict[str, Any] | None:
        return self._profiles.get(params["InstanceProfileName"])

    def _CreateSecurityGroup(self, params: Any) -> dict[str, Any]:
        self._group = {"GroupId": PLANNED_GROUP, "GroupName": params["GroupName"]}
        return {"GroupId": PLANNED_GROUP}

    def _DescribeSecurityGroups(self, params: Any) -> dict[str, Any] | None:
        return {"SecurityGroups": [self._group]} if self._group else None

    def _RunInstances(self, params: Any) -> dict[str, Any]:
        said = {name: shlex.split(value)[0] for name, value in _EXPORTED.findall(params["UserData"])}
        outcome = json.dumps({"status": 0, "seconds": {}}).encode()
        self._put_object(said["BUCKET"], f"{said['RESULT_PREFIX']}{OUTCOME}", outcome, len(outcome))
        self._instance = {
            "InstanceId": PLANNED_INSTANCE,
            "InstanceType": params["InstanceType"],
            "State": {"Code": 48, "Name": "terminated"},
            "LaunchTime": self._now,
            "Tags": params["TagSpecifications"][0]["Tags"],
        }
        return {"Instances": [self._instance]}

    def _DescribeInstances(self, params: Any) -> dict[str, Any] | None:
        return {"Reservations": [{"Instances": [self._instance]}]} if self._instance else None

    def _GetConsoleOutput(self, params: Any) -> dict[str, Any] | None:
        return {"InstanceId": PLANNED_INSTANCE, "Output": ""} if self._instance else None
