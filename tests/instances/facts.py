"""What a test's instances are told of themselves."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from sagehound.localcloud.instances import tree
from sagehound.localcloud.instances.spec import MetadataOptions

TREE: tree.Tree = {
    "meta-data": {
        "instance-id": "i-0a1",
        "placement": {"availability-zone": "us-east-1a", "region": "us-east-1"},
        "iam": {"info": '{"Code": "Success"}'},
    },
    "dynamic": {"instance-identity": {"document": '{"instanceId": "i-0a1"}'}},
}


@dataclass
class Facts:
    """`Metadata`; a test changes its members while the instance runs."""

    given: MetadataOptions = field(default_factory=MetadataOptions)
    role: str | None = "trainer"

    def options(self) -> MetadataOptions:
        return self.given

    def get(self, path: str) -> str | None:
        return tree.lookup(TREE, path)

    def role_name(self) -> str | None:
        return self.role

    def credentials(self) -> dict[str, Any] | None:
        now = datetime.datetime.now(datetime.UTC)
        return {
            "Code": "Success",
            "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "secret",
            "Token": "session",
            "Expiration": (now + datetime.timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
