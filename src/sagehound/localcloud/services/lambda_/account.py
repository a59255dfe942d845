"""GetAccountSettings: Lambda's limits in a region, and how much of them is used."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import deployment, records, unzip
from sagehound.localcloud.services.lambda_.concurrency import Concurrency
from sagehound.localcloud.state.store import Store

TOTAL_CODE_SIZE = 80_530_636_800
"""Bytes of all packages of a region: AWS's 75 GB."""


class Account:
    """The account as Lambda sees it."""

    def __init__(self, store: Store, concurrency: Concurrency) -> None:
        self._store = store
        self._concurrency = concurrency

    def GetAccountSettings(self, call: Call, request: Request) -> Response:
        """The limits, and what versions and layers add up to: each counts for itself, whether or not it shares code."""
        region = call.region
        packages = [*self._store.list(records.VERSION, region), *self._store.list(records.LAYER, region)]
        return {
            "AccountLimit": {
                "TotalCodeSize": TOTAL_CODE_SIZE,
                "CodeSizeUnzipped": unzip.MAX_UNZIPPED,
                "CodeSizeZipped": deployment.MAX_ZIPPED,
                "ConcurrentExecutions": self._concurrency.limit,
                "UnreservedConcurrentExecutions": self._concurrency.unreserved_limit(region),
            },
            "AccountUsage": {
                "TotalCodeSize": sum(package["CodeSize"] for package in packages),
                "FunctionCount": len(self._store.list(records.FUNCTION, region)),
            },
        }
