"""The function of a report: what Lambda says of it, of its aliases and of the environments that are kept ready"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.function_state import ENDPOINT_VARIABLE
from sagehound.pipeline.names import Names


@dataclass(frozen=True)
class FunctionReport:
    """The function in front of the endpoint."""

    name: str
    runtime: str
    memory_size: int
    timeout: int
    role: str
    endpoint: str
    aliases: tuple[tuple[str, str, int], ...]
    """(alias, version, environments that are ready beforehand)."""

    @property
    def leads(self) -> str:
        """live: version 3, 2 kept ready."""
        return "; ".join(
            f"{alias}: version {version}" + (f", {ready} kept ready" if ready else "")
            for alias, version, ready in self.aliases
        )

    def sentence(self) -> str:
        """The function in one line, for the terminal."""
        parts = [self.leads, f"before {self.endpoint}" if self.endpoint else "", f"role {self.role}"]
        return f"function {self.name}  " + "; ".join(part for part in parts if part)

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``)."""
        return {
            "function_name": self.name,
            "runtime": self.runtime,
            "memory_size": self.memory_size,
            "timeout": self.timeout,
            "role": self.role,
            "endpoint_name": self.endpoint,
            "aliases": [
                {"alias": alias, "version": version, "provisioned_concurrency": ready}
                for alias, version, ready in self.aliases
            ],
        }


def read_function(clients: Clients, names: Names) -> FunctionReport | None:
    """The project's function; None where there is none, or where the caller may not look at functions."""
    from botocore.exceptions import ClientError

    try:
        found = clients.lambda_.get_function_configuration(FunctionName=names.function)
        aliases = clients.lambda_.list_aliases(FunctionName=names.function)["Aliases"]
        configurations = clients.lambda_.list_provisioned_concurrency_configs(FunctionName=names.function)
    except ClientError as error:
        # Who trains and deploys need not be allowed anything in Lambda, and has a report all the same.
        if error_of(error)[0] in ("ResourceNotFoundException", "AccessDeniedException"):
            return None
        raise
    ready = {
        one["FunctionArn"]: one["AvailableProvisionedConcurrentExecutions"]
        for one in configurations["ProvisionedConcurrencyConfigs"]
    }
    return FunctionReport(
        name=names.function,
        runtime=found["Runtime"],
        memory_size=found["MemorySize"],
        timeout=found["Timeout"],
        role=found["Role"].rpartition("/")[2],
        endpoint=found.get("Environment", {}).get("Variables", {}).get(ENDPOINT_VARIABLE, ""),
        aliases=tuple((alias["Name"], alias["FunctionVersion"], ready.get(alias["AliasArn"], 0)) for alias in aliases),
    )
