"""Names of resources: how ARNs are made and taken apart."""

from __future__ import annotations

from typing import NamedTuple


class Arn(NamedTuple):
    """The six fields of an ARN; `resource` keeps its own colons and slashes."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"


def make(service: str, region: str, account_id: str, resource: str) -> str:
    """An ARN of the `aws` partition; IAM passes region '', S3 region and account ''."""
    return str(Arn("aws", service, region, account_id, resource))


def parse(text: str) -> Arn:
    """The fields of `text`; ValueError when it is no ARN."""
    fields = text.split(":", 5)
    if len(fields) != 6 or fields[0] != "arn":
        raise ValueError(f"not an ARN: {text!r}")
    return Arn(*fields[1:])
