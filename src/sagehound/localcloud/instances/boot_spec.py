"""What the server tells the first process of an instance, as JSON."""

from __future__ import annotations

from typing import TypedDict

from sagehound.localcloud.instances.root import Root


class Write(TypedDict):
    """A file of #cloud-config's write_files; its content is base64."""

    path: str
    content: str
    mode: int
    owner: str
    append: bool


class Script(TypedDict):
    """A script of user data; its content is base64."""

    name: str
    content: str


class Steps(TypedDict):
    """What a boot does, in this order: notes on the console, early scripts, files, scripts."""

    notes: list[str]
    failed: bool
    early: list[Script]
    writes: list[Write]
    scripts: list[Script]


class BootSpec(TypedDict):
    """One boot, and those that follow it by `reboot`."""

    token: str
    """Names this start of the instance: how it ended is told with it."""
    instance_id: str
    hostname: str
    run: str
    """The engine's own folder of the instance, which it does not see."""
    private: bool
    prefix: str
    """What stands before paths of the instance where it has no private root: its disk; otherwise nothing."""
    root: Root
    env: dict[str, str]
    greeting: list[str]
    first: bool
    steps: Steps
    later: Steps
    cpus: list[int]
    memory_mib: int
