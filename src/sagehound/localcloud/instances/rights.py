"""What the first process of an instance, and root on it, can do: the capabilities that stay, and who may look into it.

Runs in the first process of an instance, so it imports nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import struct

from sagehound.localcloud.processes.host_init import check, libc

KEPT_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31}
"""Those of a container of Docker without MKNOD and NET_RAW: chown, dac_override, fowner, fsetid, kill, setgid, setuid,
setpcap, net_bind_service, sys_chroot, audit_write, setfcap. No mounts, no devices, no clock, no network settings; and
nobody listens to what others send on the network that all instances share."""
WAKE_ALARM = 35
"""Harmless, and kept by the first process alone: nobody on the instance has all that it has, so nobody may trace it."""
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 4, 24, 47, 4
CAPABILITY_VERSION_3 = 0x20080522


def give_up(is_machines_root: bool) -> None:
    """Keep what an instance's root has: this process from now on, all that it starts from the beginning."""
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    for number in range(last + 1):
        if number not in KEPT_CAPABILITIES:
            check(libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _set(_permitted() & _mask(KEPT_CAPABILITIES | {WAKE_ALARM}))
    if is_machines_root:
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # its descriptors and memory are nobody's to open


def _permitted() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapPrm:"))


def _mask(numbers: set[int]) -> int:
    return sum(1 << number for number in numbers)


def _set(capabilities: int) -> None:
    """These and no others: effective and permitted, nothing to inherit."""
    low, high = capabilities & 0xFFFFFFFF, capabilities >> 32
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION_3, 0))
    check(libc.capset(header, struct.pack("6I", low, low, 0, high, high, 0)), "capset")
