"""The interface of the instance engine: what an instance is, what it may ask for, how it ends, what runs on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from sagehound.localcloud.processes.supervisor import Exit

CONSOLE_LIMIT = 64 * 1024
"""Bytes of console output that GetConsoleOutput gives, the last ones."""


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """One instance as its machine needs it; the same over all its boots, except what a stopped one may change."""

    instance_id: str
    region: str
    image: str
    """The image's name, for the console and /etc/motd: every image has this machine's programs."""
    instance_type: str
    vcpus: int
    memory_mib: int
    hostname: str
    private_ip: str
    user_data: bytes | None
    """As RunInstances got it, base64 taken off: a script, #cloud-config, MIME multi-part, gzip of any of them."""
    public_keys: tuple[str, ...]
    """OpenSSH lines for authorized_keys of the image's users."""
    root: Path
    """A directory of the instance alone: its disk, its console, the engine's own files."""


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """MetadataOptions of the instance, asked on each request so that ModifyInstanceMetadataOptions works at once."""

    http_tokens: Literal["optional", "required"] = "required"
    http_endpoint: Literal["enabled", "disabled"] = "enabled"
    http_put_response_hop_limit: int = 2
    instance_metadata_tags: Literal["enabled", "disabled"] = "disabled"


class Metadata(Protocol):
    """What the metadata service of one instance answers; every member is asked anew on each request."""

    def options(self) -> MetadataOptions:
        """Whether it answers at all, and whether without a token."""

    def get(self, path: str) -> str | None:
        """The text at `path` below latest/ (`meta-data/instance-id`; `tree.lookup` does it for a nested mapping).

        None is 404. The engine itself answers `user-data`, `meta-data/iam/security-credentials/...` (from `role_name`
        and `credentials`), `meta-data/public-keys/...` (from the spec); of a listing that it asks `get` for it adds
        those entries itself.
        """

    def role_name(self) -> str | None:
        """The role of the instance profile; None when there is none."""

    def credentials(self) -> dict[str, Any] | None:
        """The role's keys as IMDS's JSON document has them (Code, AccessKeyId, SecretAccessKey, Token, Expiration...).

        None when there is no role; {"Code": "AssumeRoleUnauthorizedAccess", ...} when it may not be assumed.
        """


class Ending(StrEnum):
    """How an instance came to its end."""

    SHUT_DOWN_INSIDE = "shut-down-inside"
    """shutdown, poweroff or halt: InstanceInitiatedShutdownBehavior decides what follows."""
    SHUT_DOWN = "shut-down"
    """`Instances.shut_down` asked for it."""
    CRASHED = "crashed"
    """Nobody asked: its first process was killed, or this machine was restarted."""


Handle = dict[str, Any]
"""A running instance as JSON: kept by its owner, enough to adopt it after a crash of the server."""

Ended = Callable[[str, Ending], None]
"""Called with the instance's id, in the event loop, once none of its processes is left."""

BytesSink = Callable[[bytes], None]
"""Called with output as it comes."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run on a running instance: inside its root, as root, beside what runs there."""

    argv: tuple[str, ...]
    """Looked up on the instance's PATH; a script is ("/bin/sh", "-c", text) or a path inside the instance."""
    timeout: float
    """Seconds until its whole process group is killed."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Beside the instance's own environment (PATH, HOME, AWS_...)."""
    cwd: str = "/"
    stdin: bytes = b""


class NotRunning(Exception):
    """The instance has no processes (any more)."""


class InstanceEngine(Protocol):
    """Runs instances that outlive this server: a crash of the server ends none of them."""

    async def boot(
        self, spec: InstanceSpec, metadata: Metadata, env: Mapping[str, str], first: bool, ended: Ended
    ) -> Handle:
        """Start an instance; returns once its first process is up (user data runs on, `first` boots only).

        `env` is what all its programs have beside PATH, HOME and the metadata service's address: AWS_ENDPOINT_URL.
        OSError when this machine cannot start it; then nothing of this boot is left but the root.
        """

    async def adopt(self, spec: InstanceSpec, metadata: Metadata, handle: Handle, ended: Ended) -> bool:
        """Take over an instance of an earlier server; False when it has ended (`ended` has been called with how)."""

    def find(self, spec: InstanceSpec) -> Handle | None:
        """The running instance of this root, started by a server that died before it kept the handle."""

    def is_running(self, handle: Handle) -> bool:
        """Whether its first process lives."""

    async def shut_down(self, handle: Handle, grace: float) -> None:
        """End it: SIGTERM to all its processes, `grace` seconds, SIGKILL; `ended` has been called at return."""

    async def reboot(self, handle: Handle) -> None:
        """End all its processes and boot again: same handle, same address, user data does not run again."""

    async def remove(self, spec: InstanceSpec) -> None:
        """Delete its root, console and all; what still runs of it is killed first. Safe to repeat."""

    def console(self, spec: InstanceSpec) -> bytes:
        """The last 64 KB of its console; empty before the first boot and after `remove`."""

    def console_time(self, spec: InstanceSpec) -> float | None:
        """When its console was written last, in seconds since 1970; None before anything is."""

    async def run(self, handle: Handle, command: Command, stdout: BytesSink, stderr: BytesSink) -> Exit:
        """Run a command on the instance to its end. TimeoutError: it was killed; NotRunning: the instance is gone.

        Cancelling it, or the end of the server, kills the command with everything that is in its process group.
        """

    async def close(self) -> None:
        """Stop looking after instances and end their metadata services; the instances run on and can be adopted."""
