"""What SageMaker does with an execution role: lists, reads and writes S3, logs, measures; IAM is asked before each.

Whatever SageMaker does for a job, a model or an endpoint it does as a session of their execution role, with that role's
permissions and no others: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html. CreateTrainingJob and
CreateHyperParameterTuningJob need s3:ListBucket, s3:GetObject and s3:PutObject, logs:CreateLogGroup,
logs:CreateLogStream and logs:PutLogEvents, cloudwatch:PutMetricData; CreateModel needs s3:GetObject and those of the
logs. What AWS asks for beside (ecr for the image, logs:DescribeLogStreams) nothing here does. The metrics of endpoints
are the service's own, which no role is asked for: the execution role's cloudwatch:PutMetricData is for what is counted
in training.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from sagehound.localcloud.services.sagemaker.needs import LogWriter, RoleAccess
from sagehound.localcloud.state import arns

logger = logging.getLogger(__name__)

PRINCIPAL = "sagemaker.amazonaws.com"
SESSION = "SageMaker"
"""The name of the sessions, in which a denial and an event name the role."""


class Refusal(NamedTuple):
    """The first object that the role may not touch, and IAM's sentence about it."""

    key: str
    sentence: str


class RoleActions:
    """One execution role in one region. Each answer is IAM's sentence when it refuses, otherwise None.

    Every question is recorded as a call of the role's session: one for each kind of access, however many objects.
    May be called from any thread.
    """

    def __init__(self, access: RoleAccess, role_arn: str, region: str, account_id: str) -> None:
        self.role_arn = role_arn
        self.region = region
        self._access = access
        self._account_id = account_id

    def lists(self, bucket: str, prefix: str) -> str | None:
        """May it list the keys of a bucket that begin with `prefix`?"""
        return self._denied("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix})

    def reads(self, bucket: str, keys: Sequence[str]) -> Refusal | None:
        """May it read each of these objects? In the record `prefix*` stands for them."""
        return self._each("s3:GetObject", bucket, keys)

    def writes(self, bucket: str, keys: Sequence[str], *, ahead: bool = False) -> Refusal | None:
        """May it store each of these objects? `ahead` of the end of a job nothing is recorded unless it may not."""
        return self._each("s3:PutObject", bucket, keys, ahead=ahead)

    def logs(self, group: str, stream: str, *, is_new: bool) -> str | None:
        """May it make a log stream and write to it, and make the group where that is new?"""
        streams = arns.make("logs", self.region, self._account_id, f"log-group:{group}:log-stream:")
        made = self._denied("logs:CreateLogGroup", streams) if is_new else None
        return (
            made
            or self._denied("logs:CreateLogStream", streams + stream)
            or self._denied("logs:PutLogEvents", streams + stream)
        )

    def measures(self, namespace: str) -> str | None:
        """May it put values into CloudWatch?"""
        return self._denied("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": namespace})

    def _denied(self, action: str, resource: str, context: dict[str, str] | None = None) -> str | None:
        return self._access.denied(self.role_arn, SESSION, action, resource, context, region=self.region, via=PRINCIPAL)

    def _each(self, action: str, bucket: str, keys: Sequence[str], *, ahead: bool = False) -> Refusal | None:
        if not keys:
            return None
        base = f"arn:aws:s3:::{bucket}/"
        found = self._access.denied_among(
            self.role_arn,
            SESSION,
            action,
            [base + key for key in keys],
            base + _together(keys),
            region=self.region,
            via=PRINCIPAL,
            ahead=ahead,
        )
        return None if found is None else Refusal(found[0].removeprefix(base), found[1])


class RoleLog:
    """A log group that is written as a role. Who may not log works all the same, without a log, as on AWS."""

    def __init__(self, role: RoleActions, logs: LogWriter, group: str, whose: str) -> None:
        """`whose` log is missing, the cloud's own log says."""
        self._role = role
        self._logs = logs
        self._group = group
        self._whose = whose
        self._allowed: dict[str, bool] = {}

    def append(self, stream: str, events: list[tuple[int, str]]) -> None:
        """Add events, if there are some; the role is asked when a stream begins."""
        if not events:
            return
        region = self._role.region
        if stream not in self._allowed:
            is_new = not self._logs.has_group(region, self._group)
            denied = self._role.logs(self._group, stream, is_new=is_new)
            if denied is not None:
                logger.warning("%s has no log %s: %s", self._whose, stream, denied)
            self._allowed[stream] = denied is None
        if self._allowed[stream]:
            self._logs.append(region, self._group, stream, events)


def _together(keys: Sequence[str]) -> str:
    """A key, or what several have in common with a `*` behind it."""
    first, last = min(keys), max(keys)
    if first == last:
        return first
    same = 0
    while same < len(first) and first[same] == last[same]:
        same += 1
    return f"{first[:same]}*"
