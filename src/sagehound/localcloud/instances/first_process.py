"""The first process of an instance: puts its root together and runs its system until it is down.

It is a program of its own, from a file that nothing below it can change, and has no descriptor of a folder of this
machine; in a private root its rights are those of the instance's root.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress

from sagehound.localcloud.instances.boot_spec import BootSpec
from sagehound.localcloud.instances.init import FAILED
from sagehound.localcloud.instances.root import make_root
from sagehound.localcloud.instances.system import System
from sagehound.localcloud.processes.host_init import LINUX, PR_SET_CHILD_SUBREAPER, libc


def main(given: int, listener: int, ready: int, telling: int) -> None:
    """Run the instance that is described on the pipe `given`; how it ended goes to `telling`."""
    for descriptor in (listener, ready, telling):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)
    with os.fdopen(given, "rb") as pipe:
        boot: BootSpec = json.load(pipe)
    if LINUX:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    notes = make_root(boot["root"]) if boot["private"] else []
    if hasattr(os, "sched_setaffinity") and boot["cpus"]:
        os.sched_setaffinity(0, boot["cpus"])
    os.umask(0o022)
    system = System(boot, socket.socket(fileno=listener), notes)
    if ready >= 0:
        with suppress(BrokenPipeError):  # the server may have died meanwhile; the next one adopts the instance
            os.write(ready, b"up\n")
        os.close(ready)
    os.write(telling, system.run().encode())


if __name__ == "__main__":
    try:
        main(*(int(word) for word in sys.argv[1:]))
    except Exception as error:  # noqa: BLE001 - the first process has nobody to raise to
        os.write(1, f"the first process of this instance has failed: {type(error).__name__}: {error}\n".encode())
        sys.exit(FAILED)
