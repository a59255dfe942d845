"""What is told of features that no function here has: code signing, pinned runtimes, loop detection, event sources."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_.table import FunctionTable


class Unconfigured:
    """Reading operations only: setting any of these up is not implemented, and refused by name."""

    def __init__(self, table: FunctionTable) -> None:
        self._table = table

    def GetFunctionCodeSigningConfig(self, call: Call, request: Request) -> Response:
        """Nothing, as AWS answers for a function without code signing."""
        self._target(call, request)
        return {}

    def GetRuntimeManagementConfig(self, call: Call, request: Request) -> Response:
        """Auto, as AWS answers for a function whose runtime is not pinned: it runs what this machine has."""
        return {"UpdateRuntimeOn": "Auto", "FunctionArn": self._target(call, request)}

    def GetFunctionRecursionConfig(self, call: Call, request: Request) -> Response:
        """Terminate, AWS's default: functions that are each other's destinations are stopped after sixteen hops."""
        self._target(call, request)
        return {"RecursiveLoop": "Terminate"}

    def ListEventSourceMappings(self, call: Call, request: Request) -> Response:
        """None: CreateEventSourceMapping is not implemented, so there are none."""
        return {"EventSourceMappings": []}

    def _target(self, call: Call, request: Request) -> str:
        target = self._table.resolve(call.region, request["FunctionName"], request.get("Qualifier"))
        call.resource = target.arn
        return target.arn
