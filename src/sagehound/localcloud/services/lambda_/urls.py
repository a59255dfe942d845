"""Function URLs as they are configured: one for a function, one for each of its aliases.

https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_ import names, paging, records
from sagehound.localcloud.services.lambda_.errors import conflict, not_found, unsupported
from sagehound.localcloud.services.lambda_.invocation_needs import Functions
from sagehound.localcloud.services.lambda_.names import LATEST
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

Record = dict[str, Any]

PATH = "/_function-url/"
_ID_LENGTH = 32
_ALPHABET = string.ascii_lowercase + string.digits
_SETTINGS = ("AuthType", "Cors", "InvokeMode")
_TOLD = ("FunctionArn", "AuthType", "Cors", "CreationTime", "LastModifiedTime", "InvokeMode")


class Urls:
    """The configs, and the function that a URL belongs to."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        functions: Functions,
        endpoint_url: Callable[[], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._functions = functions
        self._endpoint_url = endpoint_url
        self._keys: dict[str, tuple[str, str]] = {}

    def find(self, url_id: str) -> tuple[str, Record] | None:
        """The region and the config of a URL; None when there is no such URL (any more)."""
        key = self._keys.get(url_id)
        if key is None:
            for region, name, config in records.everywhere(self._store, records.URL):
                self._keys[config["UrlId"]] = (region, name)
            key = self._keys.get(url_id)
        if key is None:
            return None
        found = self._store.get(records.URL, *key)
        if found is None or found["UrlId"] != url_id:
            del self._keys[url_id]
            return None
        return key[0], found

    def CreateFunctionUrlConfig(self, call: Call, request: Request) -> Response:
        """A new URL, which stays the function's until it is deleted."""
        key = self._key(call, request)
        _check_mode(request)
        if (existing := self._store.get(records.URL, call.region, key)) is not None:
            raise conflict(
                f"Failed to create function url config for [functionArn = {existing['FunctionArn']}]. "
                "Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        now = self._now()
        config: Record = {
            "UrlId": "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH)),
            "FunctionArn": call.resource,
            "AuthType": request["AuthType"],
            "InvokeMode": request.get("InvokeMode", "BUFFERED"),
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        if request.get("Cors"):
            config["Cors"] = request["Cors"]
        self._store.put(records.URL, call.region, key, config)
        self._keys[config["UrlId"]] = (call.region, key)
        return self._told(config)

    def GetFunctionUrlConfig(self, call: Call, request: Request) -> Response:
        """The config."""
        return self._told(self._config(call, self._key(call, request)))

    def UpdateFunctionUrlConfig(self, call: Call, request: Request) -> Response:
        """Change what is said; an empty Cors takes the cross-origin rules away."""
        key = self._key(call, request)
        _check_mode(request)
        config = self._config(call, key)
        said: Record = {member: request[member] for member in _SETTINGS if member in request}
        config = {**config, **said, "LastModifiedTime": self._now()}
        if not config.get("Cors"):
            config.pop("Cors", None)
        self._store.put(records.URL, call.region, key, config)
        return self._told(config)

    def DeleteFunctionUrlConfig(self, call: Call, request: Request) -> Response:
        """The URL is gone for good: a new one has another address."""
        key = self._key(call, request)
        self._config(call, key)
        self._store.delete(records.URL, call.region, key)
        return {}

    def ListFunctionUrlConfigs(self, call: Call, request: Request) -> Response:
        """The URLs of a function and of its aliases."""
        name, _ = names.parse(request["FunctionName"], None, call.region, call.account_id)
        call.resource = names.arn(call.region, call.account_id, name)
        self._functions.resolve(call.region, name, None)
        found = [self._told(config) for config in records.under(self._store, records.URL, call.region, name)]
        return paging.page(found, request, "FunctionUrlConfigs", lambda config: str(config["FunctionArn"]))

    def _key(self, call: Call, request: Request) -> str:
        """The record's name; ResourceNotFoundException without such a function or alias."""
        qualifier = request.get("Qualifier")
        name, qualifier = names.parse(request["FunctionName"], qualifier, call.region, call.account_id)
        call.resource = names.arn(call.region, call.account_id, name, qualifier)
        try:
            self._functions.resolve(call.region, name, qualifier)
        except AwsError as refusal:
            if refusal.code != "ResourceNotFoundException":
                raise
            raise not_found("Function does not exist") from refusal
        return f"{name}:{qualifier or LATEST}"

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _config(self, call: Call, key: str) -> Record:
        config = self._store.get(records.URL, call.region, key)
        if config is None:
            raise not_found()
        return config

    def _told(self, config: Record) -> Record:
        url = f"{self._endpoint_url()}{PATH}{config['UrlId']}/"
        return {"FunctionUrl": url, **{member: config[member] for member in _TOLD if member in config}}


def _check_mode(request: Request) -> None:
    if request.get("InvokeMode") == "RESPONSE_STREAM":
        raise unsupported("InvokeMode RESPONSE_STREAM")
