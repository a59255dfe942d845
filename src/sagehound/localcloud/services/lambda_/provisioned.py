"""Provisioned concurrency as it is asked for: of a published version, or of an alias that points to one."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_ import names, paging, records
from sagehound.localcloud.services.lambda_.concurrency import LEAST_UNRESERVED, Concurrency
from sagehound.localcloud.services.lambda_.errors import conflict, invalid
from sagehound.localcloud.services.lambda_.invocation_needs import Functions, Target
from sagehound.localcloud.services.lambda_.names import LATEST
from sagehound.localcloud.services.lambda_.provisioned_pools import IN_PROGRESS, ProvisionedPools
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

Record = dict[str, Any]

REQUESTED = "RequestedProvisionedConcurrentExecutions"
_OF_A_VERSION = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
_OF_AN_ALIAS = "Version is pointed by a Provisioned Concurrency alias"
_ABOVE_RESERVED = (
    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
)
_UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


class Provisioned:
    """The configs, one a version or alias; the pools follow them."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        functions: Functions,
        concurrency: Concurrency,
        pools: ProvisionedPools,
    ) -> None:
        self._store = store
        self._clock = clock
        self._functions = functions
        self._concurrency = concurrency
        self._pools = pools

    def PutProvisionedConcurrencyConfig(self, call: Call, request: Request) -> Response:
        """202: the environments are being initialised, which Get tells the progress of."""
        target = self._target(call, request)
        config = self._ask(call.region, target, request["ProvisionedConcurrentExecutions"])
        return self._describe(call.region, config)

    def GetProvisionedConcurrencyConfig(self, call: Call, request: Request) -> Response:
        """What was asked for, what there is, and how it went."""
        target = self._target(call, request)
        return self._describe(call.region, self._config(call.region, target))

    def DeleteProvisionedConcurrencyConfig(self, call: Call, request: Request) -> Response:
        """The environments end; no config is no error."""
        target = self._target(call, request)
        self.delete(call.region, target.name, target.qualifier)
        return {}

    def ListProvisionedConcurrencyConfigs(self, call: Call, request: Request) -> Response:
        """The configs of all versions and aliases of a function."""
        target = self._functions.resolve(call.region, request["FunctionName"], None)
        call.resource = names.arn(call.region, call.account_id, target.name)
        found = records.under(self._store, records.PROVISIONED, call.region, target.name)
        told = [{"FunctionArn": config["FunctionArn"], **self._describe(call.region, config)} for config in found]
        return paging.page(told, request, "ProvisionedConcurrencyConfigs", lambda config: str(config["FunctionArn"]))

    def set_capacity(self, region: str, function_name: str, qualifier: str, count: int) -> None:
        """Ask for `count` environments of a version or alias, as a scaling policy does."""
        self._ask(region, self._functions.resolve(region, function_name, qualifier), count)

    def delete(self, region: str, name: str, qualifier: str) -> None:
        """Let go of all environments of a version or alias."""
        self._store.delete(records.PROVISIONED, region, f"{name}:{qualifier}")
        self._pools.reconcile(region, name)

    def check(self, region: str, name: str, qualifier: str) -> None:
        """Refuse what can have no provisioned concurrency, or is not there."""
        self._check_target(region, self._functions.resolve(region, name, qualifier))

    def capacity(self, region: str, function_name: str, qualifier: str) -> tuple[int, int]:
        """How many environments are asked for and how many are initialised; (0, 0) without a config."""
        target = self._functions.resolve(region, function_name, qualifier)
        config = self._store.get(records.PROVISIONED, region, f"{target.name}:{target.qualifier}")
        if config is None:
            return 0, 0
        return config[REQUESTED], self._describe(region, config)["AvailableProvisionedConcurrentExecutions"]

    def _ask(self, region: str, target: Target, count: int) -> Record:
        """Check, keep and begin to follow what is asked for; the config."""
        key = f"{target.name}:{target.qualifier}"
        self._check_target(region, target)
        before = self._store.get(records.PROVISIONED, region, key) or {}
        self._check_limits(region, target.name, count - before.get(REQUESTED, 0))
        # A version that is being made or has failed is refused here.
        self._functions.spec(region, target.name, target.versions[0][0])
        config = {
            "FunctionName": target.name,
            "Qualifier": target.qualifier,
            "FunctionArn": target.arn,
            REQUESTED: count,
            "LastModified": records.timestamp(self._clock),
        }
        self._store.put(records.PROVISIONED, region, key, config)
        self._pools.reconcile(region, target.name)
        return config

    def _target(self, call: Call, request: Request) -> Target:
        parsed = names.parse(request["FunctionName"], request["Qualifier"], call.region, call.account_id)
        call.resource = names.arn(call.region, call.account_id, parsed.name, parsed.qualifier)
        if parsed.qualifier == LATEST:
            raise invalid(_UNPUBLISHED)
        return self._functions.resolve(call.region, request["FunctionName"], request["Qualifier"])

    def _check_target(self, region: str, target: Target) -> None:
        """Not $LATEST, no alias with routing, and not a version that has a config through another name."""
        version = target.versions[0][0]
        if version == LATEST:
            raise invalid(_UNPUBLISHED)
        if len(target.versions) > 1:
            raise invalid("Alias with weights can not be used with Provisioned Concurrency")
        for other in records.under(self._store, records.PROVISIONED, region, target.name):
            qualifier = other["Qualifier"]
            if qualifier == target.qualifier:
                continue
            if self._functions.resolve(region, target.name, qualifier).versions[0][0] == version:
                raise conflict(_OF_A_VERSION if qualifier == version else _OF_AN_ALIAS)

    def _check_limits(self, region: str, name: str, more: int) -> None:
        """What a function reserved is its most; otherwise 100 of the account's limit must stay for the others."""
        reserved = self._functions.reserved(region, name)
        if reserved is not None:
            if self._concurrency.allotted(region, name) + more > reserved:
                raise invalid(_ABOVE_RESERVED)
            return
        left = self._concurrency.unreserved_limit(region)
        said = "Specified ConcurrentExecutions for function"
        if more > left:
            raise invalid(f"{said} is greater than account's unreserved concurrency [{left}].")
        if more > 0 and left - more < LEAST_UNRESERVED:
            below = f"below its minimum value of [{LEAST_UNRESERVED}]."
            raise invalid(f"{said} decreases account's UnreservedConcurrentExecution {below}")

    def _config(self, region: str, target: Target) -> Record:
        config = self._store.get(records.PROVISIONED, region, f"{target.name}:{target.qualifier}")
        if config is None:
            message = "No Provisioned Concurrency Config found for this function"
            code = "ProvisionedConcurrencyConfigNotFoundException"
            raise AwsError(code, message, 404, members={"Type": "User"})
        return config

    def _describe(self, region: str, config: Record) -> Record:
        pool = self._pools.pool(region, config["FunctionName"], config["Qualifier"])
        ready = min(self._pools.ready(pool), config[REQUESTED]) if pool else 0
        found: Record = {
            REQUESTED: config[REQUESTED],
            "AvailableProvisionedConcurrentExecutions": ready,
            "AllocatedProvisionedConcurrentExecutions": ready,
            "Status": pool.status if pool else IN_PROGRESS,
            "LastModified": config["LastModified"],
        }
        if pool is not None and pool.reason is not None:
            found["StatusReason"] = pool.reason
        return found
