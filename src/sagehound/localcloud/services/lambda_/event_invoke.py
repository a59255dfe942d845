"""How events of a function are treated: how often and how long they are tried, and where their outcome goes."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_ import names, paging, records
from sagehound.localcloud.services.lambda_.destinations import Destinations
from sagehound.localcloud.services.lambda_.errors import invalid, not_found
from sagehound.localcloud.services.lambda_.invocation_needs import Functions, Target
from sagehound.localcloud.services.lambda_.names import LATEST
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

Record = dict[str, Any]

_SETTINGS = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
_NO_DESTINATIONS: Record = {"OnSuccess": {}, "OnFailure": {}}


class EventInvoke:
    """The event invoke configs of functions, versions and aliases."""

    def __init__(self, store: Store, clock: Clock, functions: Functions, destinations: Destinations) -> None:
        self._store = store
        self._clock = clock
        self._functions = functions
        self._destinations = destinations

    def config(self, region: str, name: str, qualifier: str) -> Record:
        """The config of exactly this version or alias; empty when it has none."""
        return self._store.get(records.EVENT_INVOKE, region, f"{name}:{qualifier}") or {}

    def PutFunctionEventInvokeConfig(self, call: Call, request: Request) -> Response:
        """Replace the config: what is not said is as if it had never been."""
        target = self._target(call, request)
        _check_something(request)
        return self._write(call, target, {"DestinationConfig": _NO_DESTINATIONS}, request)

    def UpdateFunctionEventInvokeConfig(self, call: Call, request: Request) -> Response:
        """Change what is said of an existing config."""
        target = self._target(call, request)
        _check_something(request)
        return self._write(call, target, self._existing(call, target), request)

    def GetFunctionEventInvokeConfig(self, call: Call, request: Request) -> Response:
        """The config."""
        return self._existing(call, self._target(call, request))

    def DeleteFunctionEventInvokeConfig(self, call: Call, request: Request) -> Response:
        """Back to two retries and six hours."""
        target = self._target(call, request)
        self._existing(call, target)
        self._store.delete(records.EVENT_INVOKE, call.region, f"{target.name}:{target.qualifier}")
        return {}

    def ListFunctionEventInvokeConfigs(self, call: Call, request: Request) -> Response:
        """The configs of all versions and aliases of a function."""
        name = self._target(call, request).name
        found = records.under(self._store, records.EVENT_INVOKE, call.region, name)
        return paging.page(found, request, "FunctionEventInvokeConfigs", lambda config: str(config["FunctionArn"]))

    def _target(self, call: Call, request: Request) -> Target:
        parsed = names.parse(request["FunctionName"], request.get("Qualifier"), call.region, call.account_id)
        call.resource = names.arn(call.region, call.account_id, parsed.name, parsed.qualifier or LATEST)
        try:
            return self._functions.resolve(call.region, request["FunctionName"], request.get("Qualifier"))
        except AwsError as refusal:
            if refusal.code != "ResourceNotFoundException":
                raise
            raise not_found("The function doesn't exist.") from refusal

    def _existing(self, call: Call, target: Target) -> Record:
        config = self.config(call.region, target.name, target.qualifier)
        if not config:
            raise not_found(f"The function {call.resource} doesn't have an EventInvokeConfig")
        return config

    def _write(self, call: Call, target: Target, before: Record, request: Request) -> Response:
        said = {member: request[member] for member in _SETTINGS if member in request}
        config: Record = {
            **before,
            **said,
            "FunctionArn": call.resource,
            "LastModified": self._clock.now(),
        }
        config["DestinationConfig"] = {**_NO_DESTINATIONS, **config["DestinationConfig"]}
        version = target.versions[0][0]
        self._destinations.check(call.region, target.name, version, config["DestinationConfig"])
        self._store.put(records.EVENT_INVOKE, call.region, f"{target.name}:{target.qualifier}", config)
        return config


def _check_something(request: Request) -> None:
    if not any(member in request for member in _SETTINGS):
        raise invalid("You must specify at least one of error handling or destination setting.")
