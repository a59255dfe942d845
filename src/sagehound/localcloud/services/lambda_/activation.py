"""The work behind Pending and InProgress: code and layers are unpacked, then the version is active, or failed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from sagehound.localcloud.services.lambda_ import configuration, records, status
from sagehound.localcloud.services.lambda_.code import Packages
from sagehound.localcloud.services.lambda_.table import FunctionTable
from sagehound.localcloud.services.lambda_.unzip import BadPackage
from sagehound.localcloud.state import arns

logger = logging.getLogger(__name__)
Record = dict[str, Any]


class Activation:
    """Makes versions ready; what a death interrupted is done again at the next start."""

    def __init__(self, table: FunctionTable, packages: Packages) -> None:
        self._table = table
        self._packages = packages
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Forget packages that nothing names, and go on with what was under way, or has lost its unpacked code."""
        versions = self._table.store.list(records.VERSION)
        layers = self._table.store.list(records.LAYER)
        named = {layer["CodeSha256"] for layer in layers}.union(*map(_code_of, versions))
        await asyncio.to_thread(self._packages.prune, named)
        for record in versions:
            region = arns.parse(record["FunctionArn"]).region
            if status.is_working(record):
                self.begin(region, record)
            elif record["State"] == "Active":
                await asyncio.to_thread(self._restore, region, record)

    async def stop(self) -> None:
        """Let go of what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def begin(self, region: str, record: Record) -> None:
        """Begin to make a version ready; `record` is as it was stored."""
        task = asyncio.create_task(self._work(region, record), name=f"activate {record['FunctionArn']}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, region: str, record: Record) -> None:
        try:
            await asyncio.to_thread(self._unpack, record)
        except BadPackage as reason:
            self._finish(region, record, status.fail(record, "InvalidZipFileException", str(reason)))
        except Exception as fault:
            logger.exception("%s could not be made ready", record["FunctionArn"])
            words = f"Internal fault: {type(fault).__name__}: {fault}"
            self._finish(region, record, status.fail(record, "InternalError", words))
        else:
            self._finish(region, record, status.succeed(record))

    def _restore(self, region: str, record: Record) -> None:
        try:
            self._unpack(record.get("Serving", record))
        except (BadPackage, OSError) as reason:
            logger.error("the code of %s is lost: %s", record["FunctionArn"], reason)
            self._table.put_version(region, status.lose(record, str(reason)))

    def _unpack(self, record: Record) -> None:
        for code_sha256 in configuration.packages(record):
            self._packages.unpack(code_sha256)

    def _finish(self, region: str, begun: Record, record: Record) -> None:
        name, version = record["FunctionName"], record["Version"]
        now = self._table.store.get(records.VERSION, region, f"{name}:{version}")
        # What belongs to a version (its policy, its tags) may have changed meanwhile, and only its RevisionId tells;
        # a function that was deleted and made again has other work under way.
        if now is None or now["WorkId"] != begun["WorkId"]:
            return
        self._table.put_version(region, record)
        self._table.changed(region, name, version)


def _code_of(record: Record) -> set[str]:
    return {*configuration.packages(record), *configuration.packages(record.get("Serving", record))}
