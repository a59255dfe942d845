"""How many invocations run at once, counted exactly: the account's, the reserved and the provisioned concurrency.

A function with reserved concurrency has that many executions to itself; what is provisioned for its versions is part of
them. All other functions share what is left of the account's limit, and what is provisioned for them is taken from it.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from sagehound.localcloud.errors import AwsError

ACCOUNT = "ConcurrentInvocationLimitExceeded"
RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
LEAST_UNRESERVED = 100
"""Of the account's limit must stay for the functions that have nothing of their own."""
RETRY_AFTER = "1"
"""Seconds: a place may be free as soon as one invocation has ended."""


@dataclass(slots=True)
class _Function:
    """What runs of one function."""

    running: int = 0
    on_demand: int = 0
    allotted: dict[str, int] = field(default_factory=dict)
    """Version -> what is provisioned for it, whether or not its environments are ready yet."""
    provisioned: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Version -> invocations that use its provisioned concurrency."""


@dataclass(slots=True)
class _Region:
    """What runs in one region."""

    functions: dict[str, _Function] = field(default_factory=lambda: defaultdict(_Function))
    running: int = 0
    unreserved: int = 0
    """Invocations on the shared part of the account's limit."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one invocation, given back when it has ended, and how much ran beside it."""

    region: str
    name: str
    version: str
    provisioned: bool
    reserved: bool
    function_running: int
    region_running: int
    region_unreserved: int
    pool_running: int
    """Invocations on the version's provisioned concurrency, this one included."""
    pool_size: int
    """What is provisioned for the version; 0 when nothing is."""


class Concurrency:
    """Counters of one server; everything happens on its event loop, so each is exact."""

    def __init__(self, limit: int, reserved: Callable[[str], dict[str, int]]) -> None:
        """`limit` is the account's; `reserved` gives each function of a region that has reserved concurrency."""
        self.limit = limit
        self._reserved = reserved
        self._reservations: dict[str, dict[str, int]] = {}
        self._regions: dict[str, _Region] = defaultdict(_Region)
        self._held_back: dict[str, int] = {}

    def enter(self, region: str, name: str, version: str, ready: int) -> Slot:
        """A place for one invocation; TooManyRequestsException when there is none.

        `ready` environments are provisioned for the version: they are used first, what is more spills over.
        """
        here = self._regions[region]
        function = here.functions[name]
        reserved = self._reserved_in(region).get(name)
        if reserved is not None and function.running >= reserved:
            raise throttled(RESERVED)
        in_pool = function.provisioned[version] if ready else 0
        provisioned = in_pool < ready
        if not provisioned:
            if reserved is not None:
                if function.on_demand >= reserved - sum(function.allotted.values()):
                    raise throttled(RESERVED)
            elif here.unreserved >= self.unreserved_limit(region):
                raise throttled(ACCOUNT)
        return self._take(region, name, version, provisioned, reserved is not None)

    def leave(self, slot: Slot) -> None:
        """The invocation has ended."""
        here = self._regions[slot.region]
        function = here.functions[slot.name]
        here.running -= 1
        function.running -= 1
        if slot.provisioned:
            function.provisioned[slot.version] -= 1
            return
        function.on_demand -= 1
        if not slot.reserved:
            here.unreserved -= 1

    def allot(self, region: str, name: str, version: str, count: int) -> None:
        """Set aside what is provisioned for a version; 0 gives it back."""
        function = self._regions[region].functions[name]
        if count:
            function.allotted[version] = count
        else:
            function.allotted.pop(version, None)
        self.forget(region)

    def allotted(self, region: str, name: str) -> int:
        """What is provisioned for all versions of a function."""
        return sum(self._regions[region].functions[name].allotted.values())

    def provisioned_running(self, region: str, name: str, version: str) -> int:
        """Invocations that use a version's provisioned concurrency now."""
        return self._regions[region].functions[name].provisioned[version]

    def unreserved_limit(self, region: str) -> int:
        """What functions without reserved concurrency share: the limit less what is reserved and provisioned."""
        held_back = self._held_back.get(region)
        if held_back is None:
            reserved = self._reserved_in(region)
            functions = self._regions[region].functions.items()
            allotted = (sum(function.allotted.values()) for name, function in functions if name not in reserved)
            held_back = self._held_back[region] = sum(reserved.values()) + sum(allotted)
        return max(0, self.limit - held_back)

    def forget(self, region: str) -> None:
        """Something was reserved, provisioned or given back: what is held back is computed anew."""
        self._held_back.pop(region, None)
        self._reservations.pop(region, None)

    def _reserved_in(self, region: str) -> dict[str, int]:
        known = self._reservations.get(region)
        if known is None:
            known = self._reservations[region] = self._reserved(region)
        return known

    def _take(self, region: str, name: str, version: str, provisioned: bool, reserved: bool) -> Slot:
        here = self._regions[region]
        function = here.functions[name]
        here.running += 1
        function.running += 1
        if provisioned:
            function.provisioned[version] += 1
        else:
            function.on_demand += 1
            if not reserved:
                here.unreserved += 1
        return Slot(
            region,
            name,
            version,
            provisioned,
            reserved,
            function.running,
            here.running,
            here.unreserved,
            function.provisioned[version],
            function.allotted.get(version, 0),
        )


def throttled(reason: str) -> AwsError:
    """TooManyRequestsException, as Invoke answers it."""
    members = {"Reason": reason, "Type": "User"}
    return AwsError(
        "TooManyRequestsException", "Rate Exceeded.", 429, members=members, headers={"Retry-After": RETRY_AFTER}
    )
