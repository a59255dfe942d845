"""PutFunctionConcurrency, Get and DeleteFunctionConcurrency: executions that a function has to itself."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import names
from sagehound.localcloud.services.lambda_.concurrency import LEAST_UNRESERVED, Concurrency
from sagehound.localcloud.services.lambda_.errors import invalid
from sagehound.localcloud.services.lambda_.table import FunctionTable

Record = dict[str, Any]

MEMBER = "ReservedConcurrentExecutions"


class Reserved:
    """Reserved concurrency belongs to a function as a whole."""

    def __init__(self, table: FunctionTable, concurrency: Concurrency) -> None:
        self._table = table
        self._concurrency = concurrency
        table.listeners.append(self._changed)

    def PutFunctionConcurrency(self, call: Call, request: Request) -> Response:
        """Reserve, as long as at least 100 executions of the account stay unreserved."""
        function = self._function(call, request)
        wanted: int = request[MEMBER]
        self._check(call.region, function, wanted)
        self._write(call.region, {**function, MEMBER: wanted})
        return {MEMBER: wanted}

    def GetFunctionConcurrency(self, call: Call, request: Request) -> Response:
        """What is reserved; nothing when nothing is."""
        function = self._function(call, request)
        return {MEMBER: function[MEMBER]} if MEMBER in function else {}

    def DeleteFunctionConcurrency(self, call: Call, request: Request) -> Response:
        """Give the reservation back."""
        function = self._function(call, request)
        self._write(call.region, {key: value for key, value in function.items() if key != MEMBER})
        return {}

    def _changed(self, region: str, name: str, qualifier: str | None) -> None:
        if qualifier is None:
            # What a deleted function had reserved is free again.
            self._concurrency.forget(region)

    def _function(self, call: Call, request: Request) -> Record:
        name, qualifier = names.parse(request["FunctionName"], None, call.region, call.account_id)
        call.resource = self._table.arn(call.region, name)
        if qualifier is not None:
            raise invalid(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
                "operation. Please specify either a function name or an unqualified function ARN."
            )
        return self._table.function(call.region, name)

    def _check(self, region: str, function: Record, wanted: int) -> None:
        provisioned = self._concurrency.allotted(region, function["FunctionName"])
        if provisioned > wanted:
            raise invalid(
                f" {MEMBER}  {wanted} should not be lower than function's total provisioned concurrency "
                f"[{provisioned}]."
            )
        # What the function holds back already is not counted twice.
        held = function.get(MEMBER, provisioned)
        if self._concurrency.unreserved_limit(region) + held - wanted < LEAST_UNRESERVED:
            raise invalid(
                f"Specified {MEMBER} for function decreases account's UnreservedConcurrentExecution below its minimum "
                f"value of [{LEAST_UNRESERVED}]."
            )

    def _write(self, region: str, function: Record) -> None:
        self._table.put_function(region, function)
        self._concurrency.forget(region)
