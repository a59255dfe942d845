"""What Systems Manager needs of the other services, each as the smallest Protocol; cloud.py passes the providers in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sagehound.localcloud.instances.spec import BytesSink, Command
from sagehound.localcloud.processes.supervisor import Exit

PublicParameters = Callable[[str], Mapping[str, str]]
"""AWS's public parameters in a region: path -> value, which for images is an id that EC2 knows."""


class Machine(Protocol):
    """A running instance, as far as its agent would tell of it."""

    @property
    def instance_id(self) -> str: ...
    @property
    def image(self) -> str:
        """The name of the image that it was started from."""

    @property
    def hostname(self) -> str: ...
    @property
    def private_ip(self) -> str: ...
    @property
    def role_arn(self) -> str | None:
        """The role of its instance profile."""

    @property
    def tags(self) -> Mapping[str, str]: ...


class Machines(Protocol):
    """EC2, asked for its running instances and to run commands on them."""

    def running(self, region: str, /) -> Sequence[Machine]:
        """All instances in state running, in the order of their launch."""

    def instance_tags(self, arn: str, /) -> Mapping[str, str]:
        """The tags of an instance by its ARN, for policies; none when there is none."""

    async def run(
        self, region: str, instance_id: str, command: Command, stdout: BytesSink, stderr: BytesSink, /
    ) -> Exit:
        """Run a command to its end, as `InstanceEngine.run` does: TimeoutError, NotRunning, killed when cancelled."""


class RoleTrust(Protocol):
    """IAM, asked who may assume a role."""

    def role_trust(self, role_arn: str, principal: str, /) -> None:
        """ValidationException when there is no such role, or its trust policy does not let the service assume it."""


class RoleAccess(Protocol):
    """IAM, asked what the role of an instance may do; None, or AWS's sentence why not."""

    def denied_among(
        self,
        role_arn: str,
        session_name: str,
        action: str,
        resources: Sequence[str],
        shown: str,
        context: Mapping[str, str | list[str]] | None = None,
        /,
        *,
        region: str,
        via: str,
        ahead: bool = False,
    ) -> tuple[str, str] | None: ...


class Objects(Protocol):
    """S3, as it takes the output of commands."""

    def bucket_region(self, bucket: str, /) -> str | None:
        """The region of a bucket; None when there is no such bucket."""

    def put_file(
        self, bucket: str, key: str, path: Path, content_type: str | None = None, *, move: bool = False
    ) -> str:
        """Store the file as an object; blocking."""
