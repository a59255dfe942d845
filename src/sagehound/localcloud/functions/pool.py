"""The environments of one version: those that were initialised on demand, and those that are provisioned."""

from __future__ import annotations

from dataclasses import dataclass, field

from sagehound.localcloud.functions.environment import Environment
from sagehound.localcloud.functions.spec import FunctionSpec


@dataclass(slots=True, eq=False)
class Pool:
    """Idle environments are taken last in, first out, so that those that are not needed grow old."""

    spec: FunctionSpec
    on_demand: list[Environment] = field(default_factory=list)
    """Idle."""
    provisioned: list[Environment] = field(default_factory=list)
    """Idle."""
    allocated: set[Environment] = field(default_factory=set)
    """Every provisioned environment that is initialised, idle or busy."""
    starting: int = 0
    """Provisioned environments on their way."""
    wanted: int = 0
    retired: bool = False
    members: set[Environment] = field(default_factory=set)
    """Every environment with a process."""

    def take(self, provisioned: bool, good_until: float) -> Environment | None:
        """An idle environment whose credentials last until then, a provisioned one first; None when there is none."""
        for idle in (self.provisioned, self.on_demand) if provisioned else (self.on_demand,):
            while idle:
                found = idle.pop()
                if not found.over and found.credentials_end > good_until:
                    return found
                found.end()
        return None

    def give(self, environment: Environment) -> None:
        """It is idle: kept, unless it is not wanted any more."""
        if environment.over or self.retired or self._superfluous(environment):
            environment.end()
        elif environment.provisioned:
            self.provisioned.append(environment)
        else:
            self.on_demand.append(environment)

    def _superfluous(self, environment: Environment) -> bool:
        if not environment.provisioned or len(self.allocated) <= self.wanted:
            return False
        self.allocated.discard(environment)
        return True

    def shrink(self) -> None:
        """End idle provisioned environments that are too many; busy ones end when they have answered."""
        while self.provisioned and len(self.allocated) > self.wanted:
            environment = self.provisioned.pop(0)
            self.allocated.discard(environment)
            environment.end()

    def forget(self, environment: Environment) -> None:
        """It has ended."""
        self.members.discard(environment)
        self.allocated.discard(environment)
        for idle in (self.provisioned, self.on_demand):
            if environment in idle:
                idle.remove(environment)

    def end_idle(self, used_before: float, good_until: float) -> None:
        """End what nobody has used for long, and what will soon have no credentials."""
        for idle in (self.provisioned, self.on_demand):
            for environment in list(idle):
                old = not environment.provisioned and environment.last_used < used_before
                if old or environment.credentials_end <= good_until:
                    idle.remove(environment)
                    environment.end()

    @property
    def missing(self) -> int:
        """How many provisioned environments are to be started."""
        return max(0, self.wanted - len(self.allocated) - self.starting)
