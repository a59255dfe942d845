"""What S3 needs of the rest of the cloud, as the smallest Protocol; cloud.py passes the provider in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sagehound.localcloud.authorization.check import Check
from sagehound.localcloud.call import Call


class Authority(Protocol):
    """Decides what the caller may do where only the body of a request says what it is about."""

    def demand(self, call: Call, checks: Iterable[Check], /) -> None:
        """AwsError unless the caller may do all of these."""
