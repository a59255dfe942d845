"""Which table says what a call needs, by service; a service without a table has actions named as its operations."""

from __future__ import annotations

from sagehound.localcloud.authorization import (
    cloudtrail,
    cloudwatch,
    lambda_,
    logs,
    s3,
    sagemaker,
    ssm,
    sts,
)
from sagehound.localcloud.authorization.check import Check, Rule
from sagehound.localcloud.authorization.iam import IamChecks
from sagehound.localcloud.authorization.needs import Entities
from sagehound.localcloud.call import Call, Request


def by_service(entities: Entities, account_id: str) -> dict[str, Rule]:
    """The rule of each service, by botocore's name, but for those that are added when their service is there."""
    return {
        "cloudtrail": cloudtrail.checks,
        "cloudwatch": cloudwatch.checks,
        "iam": IamChecks(entities, account_id),
        "lambda": lambda_.checks,
        "logs": logs.checks,
        "s3": s3.checks,
        "sagemaker": sagemaker.checks,
        "sagemaker-runtime": sagemaker.runtime_checks,
        "ssm": ssm.checks,
        "sts": sts.checks,
    }


def generic(call: Call, params: Request) -> list[Check]:
    """The action that is called as the operation, on everything: never less than what AWS asks."""
    return [Check(f"{call.service}:{call.operation}")]
