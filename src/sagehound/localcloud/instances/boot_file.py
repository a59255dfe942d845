"""One boot as its first process gets it: the disk laid out, the environment, the steps, the limits of the type."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from sagehound.localcloud.instances import disk, first_boot, stand_ins, trust
from sagehound.localcloud.instances.boot_spec import BootSpec
from sagehound.localcloud.instances.environment import environment
from sagehound.localcloud.instances.privacy import INIT_COMMAND, INIT_ENV, Privacy, python_folders
from sagehound.localcloud.instances.root import Root
from sagehound.localcloud.instances.spec import Handle, InstanceSpec
from sagehound.localcloud.processes.supervisor import Program


def program(path: Path) -> Program:
    """The first process, for the supervisor."""
    return Program([*INIT_COMMAND, str(path)], INIT_ENV, Path("/"))


def write(
    spec: InstanceSpec,
    env: Mapping[str, str],
    metadata_host: str | None,
    token: str,
    first: bool,
    privacy: Privacy,
    bundle: Path,
) -> Path:
    """Lay out the disk and write the boot file, which its reader deletes. Blocks for as long as copying takes.

    `bundle` is the file of CAs by which the instance trusts the cloud as AWS's hosts; where there is none, it does not.
    """
    prefix = "" if privacy.private else str(disk.disk_of(spec))
    inside = stand_ins.Inside(f"{prefix}/opt")
    client = trust.variables(env, spec, inside, metadata_host) if bundle.exists() else {}
    variables = environment({**client, **env}, inside, f"{prefix}/root")
    if not privacy.private:
        variables["PIP_REQUIRE_VIRTUALENV"] = "1"  # only /opt/pytorch is the instance's own
    names = {} if metadata_host is None else {metadata_host: "127.0.0.1"}
    folder = disk.lay_out(spec, names, variables, is_root=privacy.private)
    notes = stand_ins.put(folder, inside)
    if client:
        trust.put(folder, inside, bundle)
    cpus = cpus_of(spec)
    boot = BootSpec(
        token=token,
        instance_id=spec.instance_id,
        hostname=spec.hostname,
        run=str(spec.root / "run"),
        private=privacy.private,
        prefix=prefix,
        root=Root(
            disk=str(folder),
            changes=str(spec.root / "changes"),
            layered=python_folders(),
            hidden=privacy.hidden,
            hostname=spec.hostname,
            shared_memory_mib=max(1, spec.memory_mib // 2),  # as Linux sizes it
        ),
        env=variables,
        greeting=[*_greeting(spec, cpus, privacy, prefix), *notes],
        first=first,
        steps=first_boot.steps(spec.user_data) if first else first_boot.every_boot(spec.user_data),
        later=first_boot.every_boot(spec.user_data),
        cpus=cpus,
        memory_mib=spec.memory_mib,
    )
    path = spec.root / "run" / "boot.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(boot, file)
    return path


def cpus_of(spec: InstanceSpec) -> list[int]:
    """As many of this machine's CPUs as the type has vCPUs; which ones, differs from instance to instance."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    there = sorted(os.sched_getaffinity(0))
    first = zlib.crc32(spec.instance_id.encode()) % len(there)
    return sorted((there + there)[first : first + min(spec.vcpus, len(there))])


def _greeting(spec: InstanceSpec, cpus: list[int], privacy: Privacy, prefix: str) -> list[str]:
    vcpus = f"{spec.vcpus} vCPU" + ("s" if spec.vcpus > 1 else "")
    lines = [
        f"{spec.instance_id} ({spec.instance_type}: {vcpus}, {spec.memory_mib} MiB) boots as {spec.hostname}",
        f"image {spec.image}: in the local cloud every image has the programs of this machine",
        f"it has {len(cpus) or 'all'} CPU(s) of this machine; past {spec.memory_mib} MiB the largest program is killed",
    ]
    if not privacy.private:
        lines.append(
            f"this machine has no private roots ({privacy.why_not}): the disk of this instance is {prefix}, where HOME "
            "and the working directory of user data are; other paths are this machine's"
        )
    return lines


def keep_handle(root: Path, handle: Handle) -> None:
    """Beside the instance, for a server that finds it running without knowing it."""
    path = root / "run" / "handle.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(handle, file)


def read_handle(root: Path) -> Handle | None:
    """None when the server that booted it did not come to it."""
    try:
        found = json.loads((root / "run" / "handle.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
