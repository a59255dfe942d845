"""RunInstances: checked whole, kept at once, started behind the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, ids, quotas
from sagehound.localcloud.services.ec2.launch import Launch, Launches
from sagehound.localcloud.services.ec2.machines import Machines
from sagehound.localcloud.services.ec2.presentation import Presentation
from sagehound.localcloud.services.ec2.table import TOKENS, InstanceTable, attached_ids
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store, dumps

Record = dict[str, Any]


class RunInstances:
    """The operation."""

    def __init__(
        self,
        store: Store,
        table: InstanceTable,
        clock: Clock,
        launches: Launches,
        machines: Machines,
        presentation: Presentation,
        limits: Mapping[str, int],
    ) -> None:
        self._store = store
        self._table = table
        self._clock = clock
        self._launches = launches
        self._machines = machines
        self._presentation = presentation
        self._limits = limits

    def RunInstances(self, call: Call, request: Request) -> Response:
        """Between MinCount and MaxCount new instances, pending; a ClientToken that is known answers what it made."""
        region = call.region
        token = request.get("ClientToken")
        digest = hashlib.sha256(dumps({**request, "DryRun": None}).encode()).hexdigest()
        if token and (earlier := self._repeated(region, token, digest)):
            call.resource = self._table.arn(earlier[0])
            return self._presentation.reservations(region, earlier)[0]
        launch = self._launches.read(region, request)
        count = quotas.admitted(
            self._limits,
            self._table.all(region),
            launch.kind["InstanceType"],
            request["MinCount"],
            request["MaxCount"],
        )
        if request.get("DryRun"):
            raise errors.dry_run()
        reservation_id = ids.new("r")
        with self._store.transaction():
            # Together: a client whose answer a crash has cut off asks again with its token, and gets these.
            records = self._keep(region, launch, reservation_id, count)
            if token:
                self._store.put(TOKENS, region, token, {"Digest": digest, "ReservationId": reservation_id})
        for record in records:
            self._machines.settle(region, record["InstanceId"])
        call.resource = self._table.arn(records[0])
        return self._presentation.reservations(region, records)[0]

    def _keep(self, region: str, launch: Launch, reservation_id: str, count: int) -> list[Record]:
        records = []
        for index in range(count):
            record = self._launches.record(region, launch, reservation_id, index, self._clock.now())
            self._table.put(record)
            tagged = {"instance": record["InstanceId"], **attached_ids(record)}
            for kind, tags in launch.tags.items():
                self._table.tags.set(region, tagged[kind], tags)
            records.append(record)
        return records

    def _repeated(self, region: str, token: str, digest: str) -> list[Record]:
        """The instances that this token has made."""
        known = self._store.get(TOKENS, region, token)
        if known is None:
            return []
        made = [item for item in self._table.all(region) if item["ReservationId"] == known["ReservationId"]]
        if not made:
            self._store.delete(TOKENS, region, token)
            return []
        if known["Digest"] != digest:
            message = (
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
            )
            raise AwsError("IdempotentParameterMismatch", message)
        return made
