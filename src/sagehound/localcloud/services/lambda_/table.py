"""The functions that there are: names resolved to versions, and versions told as what the engine needs to run them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.functions.spec import FunctionSpec
from sagehound.localcloud.services.lambda_ import configuration, names, records, status
from sagehound.localcloud.services.lambda_.code import Packages
from sagehound.localcloud.services.lambda_.errors import function_not_found
from sagehound.localcloud.services.lambda_.names import LATEST
from sagehound.localcloud.state.store import Store, dumps

Record = dict[str, Any]
Listener = Callable[[str, str, "str | None"], None]


@dataclass(frozen=True, slots=True)
class Target:
    """What an invocation is for."""

    name: str
    qualifier: str
    """As it was said; $LATEST when nothing was."""
    arn: str
    """As it was said: with the qualifier if there was one."""
    versions: tuple[tuple[str, float], ...]
    """(version, weight), the weights adding up to 1: several for an alias with routing."""


class FunctionTable:
    """Functions, versions and aliases of all regions. Everything that writes them goes through here."""

    def __init__(self, store: Store, account_id: str, packages: Packages) -> None:
        self.store = store
        self.account_id = account_id
        self._packages = packages
        self.listeners: list[Listener] = []
        """Called with (region, name, qualifier) when a version's code, configuration or state or an alias's aim
        changed, or when it is gone; with None as the qualifier when the whole function is gone."""
        self._targets: dict[tuple[str, str, str | None], Target] = {}
        self._specs: dict[tuple[str, str, str], FunctionSpec] = {}

    def resolve(self, region: str, function_name: str, qualifier: str | None = None) -> Target:
        """What a name, a partial or a full ARN means, with a qualifier in it or beside it."""
        key = (region, function_name, qualifier)
        found = self._targets.get(key)
        if found is None:
            found = self._targets[key] = self._resolve(*key)
        return found

    def _resolve(self, region: str, function_name: str, qualifier: str | None) -> Target:
        name, said = names.parse(function_name, qualifier, region, self.account_id)
        arn = self.arn(region, name, said)
        if said is None or names.is_version(said):
            self.version(region, name, said)
            return Target(name, said or LATEST, arn, ((said or LATEST, 1.0),))
        alias = self.store.get(records.ALIAS, region, f"{name}:{said}")
        if alias is None:
            raise function_not_found(arn)
        others = tuple(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}).items())
        rest = 1.0 - sum(weight for _, weight in others)
        return Target(name, said, arn, ((alias["FunctionVersion"], rest), *others))

    def spec(self, region: str, name: str, version: str) -> FunctionSpec:
        """How to run a version that is active; while an update is under way, the code and configuration before it."""
        key = (region, name, version)
        found = self._specs.get(key)
        if found is None:
            record = self.version(region, name, version)
            status.check_invocable(record)
            found = self._specs[key] = self._spec(region, record.get("Serving", record))
        return found

    def _spec(self, region: str, record: Record) -> FunctionSpec:
        function = self.function(region, record["FunctionName"])
        running: dict[str, Any] = {
            "function_arn": record["FunctionArn"],
            "name": record["FunctionName"],
            "version": record["Version"],
            "handler": record["Handler"],
            "runtime": record["Runtime"],
            "role_arn": record["Role"],
            "memory_size": record["MemorySize"],
            "timeout": record["Timeout"],
            "ephemeral_storage": record["EphemeralStorage"]["Size"],
            "environment": record.get("Environment", {}).get("Variables", {}),
            "region": region,
            "account_id": self.account_id,
            "log_group": record["LoggingConfig"]["LogGroup"],
        }
        code = configuration.packages(record)
        # A function that is deleted and made again shares nothing with the one before.
        told = dumps([function["FunctionId"], running, code])
        return FunctionSpec(
            key=hashlib.sha256(told.encode()).hexdigest()[:32],
            code=self._packages.folder_of(code[0]),
            layers=tuple(self._packages.folder_of(layer) for layer in code[1:]),
            **running,
        )

    def reserved(self, region: str, name: str) -> int | None:
        """The function's ReservedConcurrentExecutions; None when nothing is reserved."""
        reserved: int | None = self.function(region, name).get("ReservedConcurrentExecutions")
        return reserved

    def all_reserved(self, region: str) -> dict[str, int]:
        """Each function of a region that has reserved concurrency, with how much."""
        functions = self.store.list(records.FUNCTION, region)
        member = "ReservedConcurrentExecutions"
        return {function["FunctionName"]: function[member] for function in functions if member in function}

    def arn(self, region: str, name: str, qualifier: str | None = None) -> str:
        """The ARN of a function, a version or an alias."""
        return names.arn(region, self.account_id, name, qualifier)

    def function(self, region: str, name: str) -> Record:
        """What belongs to a function as a whole: tags, reserved concurrency; ResourceNotFoundException."""
        found = self.store.get(records.FUNCTION, region, name)
        if found is None:
            raise function_not_found(self.arn(region, name))
        return found

    def version(self, region: str, name: str, version: str | None = None) -> Record:
        """The configuration of a version, $LATEST when none is said; ResourceNotFoundException."""
        found = self.store.get(records.VERSION, region, f"{name}:{version or LATEST}")
        if found is None:
            raise function_not_found(self.arn(region, name, version))
        return found

    def versions(self, region: str, name: str) -> list[Record]:
        """$LATEST, then the published versions in the order of their numbers."""
        found = records.under(self.store, records.VERSION, region, name)
        return sorted(found, key=lambda record: 0 if record["Version"] == LATEST else int(record["Version"]))

    def aliases(self, region: str, name: str) -> list[Record]:
        """The aliases by name."""
        return records.under(self.store, records.ALIAS, region, name)

    def put_function(self, region: str, record: Record) -> None:
        """Write what belongs to a function as a whole."""
        self.store.put(records.FUNCTION, region, record["FunctionName"], record)

    def put_version(self, region: str, record: Record) -> Record:
        """Write a version under a new RevisionId."""
        record = {**record, "RevisionId": records.revision()}
        name, version = record["FunctionName"], record["Version"]
        self.store.put(records.VERSION, region, f"{name}:{version}", record)
        return record

    def touch(self, region: str, name: str, qualifier: str | None) -> None:
        """Give a version or alias a new RevisionId: what belongs to it (policy, tags) has changed."""
        said = qualifier or LATEST
        kind = records.VERSION if names.is_version(said) else records.ALIAS
        record = self.store.get(kind, region, f"{name}:{said}")
        if record is not None:
            self.store.put(kind, region, f"{name}:{said}", {**record, "RevisionId": records.revision()})

    def changed(self, region: str, name: str, qualifier: str | None) -> None:
        """Forget what was remembered of a version, an alias or the whole function, and tell the listeners."""
        self._targets.clear()
        gone = [key for key in self._specs if key[:2] == (region, name) and qualifier in (None, key[2])]
        for key in gone:
            del self._specs[key]
        for listener in self.listeners:
            listener(region, name, qualifier)
