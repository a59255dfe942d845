"""What the first boot does with user data: files to write, scripts to run, and what was not understood."""

from __future__ import annotations

from sagehound.localcloud.instances import cloud_config, user_data
from sagehound.localcloud.instances.boot_spec import Script, Steps
from sagehound.localcloud.instances.cloud_config import encoded
from sagehound.localcloud.instances.user_data import Kind, Part, Unreadable

BAD_MESSAGE = (AttributeError, LookupError, TypeError, ValueError)
"""What the reader of MIME messages raises for what is none."""


def steps(given: bytes | None) -> Steps:
    """The steps of the first boot. Nothing raises: what is wrong with user data is said on the console, as on AWS."""
    found = Steps(notes=[], failed=False, writes=[], early=[], scripts=[])
    try:
        parts = list(user_data.parts(given or b""))
    except Unreadable as error:
        _refuse(found, f"user data cannot be read: {error}")
        return found
    except RecursionError:
        _refuse(found, "user data cannot be read: its parts are nested too deeply")
        return found
    except BAD_MESSAGE as error:
        _refuse(found, f"user data cannot be read: it is no MIME message: {error}")
        return found
    runcmd: list[bytes] = []
    for number, part in enumerate(parts, 1):
        _add(found, part, number, runcmd)
    if runcmd:
        found["scripts"].append(Script(name=cloud_config.RUNCMD_SCRIPT, content=encoded(b"\n".join(runcmd))))
    # Files of one folder, run by name, as cloud-init's run-parts does: part-001 before runcmd, and of two of the same
    # name the last.
    files = {script["name"]: script for script in found["scripts"]}
    found["scripts"] = [files[name] for name in sorted(files)]
    return found


def every_boot(given: bytes | None) -> Steps:
    """What later boots do of it: only bootcmd."""
    first = steps(given)
    return Steps(notes=[], failed=False, writes=[], early=first["early"], scripts=[])


def _add(found: Steps, part: Part, number: int, runcmd: list[bytes]) -> None:
    if part.kind is Kind.SCRIPT:
        found["scripts"].append(Script(name=part.name, content=encoded(part.content)))
    elif part.kind is Kind.CLOUD_CONFIG:
        _add_config(found, part, number, runcmd)
    else:
        start = part.content[:60]
        _refuse(found, f"Unhandled non-multipart ({part.mime_type}) userdata: '{start!r}...'")


def _add_config(found: Steps, part: Part, number: int, runcmd: list[bytes]) -> None:
    try:
        config = cloud_config.read(part.content)
        writes = list(cloud_config.writes(config))
        early = cloud_config.commands(config, "bootcmd")
        late = cloud_config.commands(config, "runcmd")
    except ValueError as error:  # NotUnderstood, or text that is no base64, no Unicode, no gzip data
        _refuse(found, f"part {number} of the user data, a #cloud-config, is not carried out: {error}")
        return
    for key in cloud_config.refused(config):
        understood = ", ".join(cloud_config.UNDERSTOOD)
        _refuse(found, f"#cloud-config: {key} has no effect in the local cloud, which carries out {understood}")
    found["writes"] += writes
    if early is not None:
        found["early"].append(Script(name=f"bootcmd-{number:03}", content=encoded(early)))
    if late is not None:
        runcmd.append(late)


def _refuse(found: Steps, text: str) -> None:
    found["notes"].append(text)
    found["failed"] = True
