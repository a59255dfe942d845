"""How much of the machine an instance uses: CPU, memory and disk of the processes behind its model server."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil


class Usage(NamedTuple):
    """Percentages as CloudWatch shows them; CPU is 100 for each core that is busy all the time."""

    CPUUtilization: float
    MemoryUtilization: float
    DiskUtilization: float


@dataclass(slots=True)
class UtilizationMeter:
    """Measures one program from one look to the next."""

    _measured_at: float | None = None
    _cpu_seconds: dict[tuple[int, float], float] = field(default_factory=dict)
    """By process number and start: what each process had used at the last look."""

    def measure(self, pid: int, root: Path) -> Usage | None:
        """Since the last look; None at the first one, and when the program has ended. Blocking (some milliseconds)."""
        try:
            init = psutil.Process(pid)
            processes = [init, *init.children(recursive=True)]
        except psutil.Error:
            return None
        now, cpu, memory = time.monotonic(), dict[tuple[int, float], float](), 0
        for process in processes:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    cpu[process.pid, process.create_time()] = times.user + times.system
                    memory += _own_memory(process)
            except psutil.Error:
                continue  # it has ended since it was listed
        before, measured_at = self._cpu_seconds, self._measured_at
        self._cpu_seconds, self._measured_at = cpu, now
        if measured_at is None:
            return None
        # What a process used before it was first seen counts: it has started since the last look.
        used = sum(max(0.0, seconds - before.get(process, 0.0)) for process, seconds in cpu.items())
        disk = shutil.disk_usage(root)
        return Usage(
            100.0 * used / max(1e-3, now - measured_at),
            100.0 * memory / psutil.virtual_memory().total,
            100.0 * disk.used / disk.total,
        )


def _own_memory(process: psutil.Process) -> int:
    """Its memory in bytes, of shared pages its share where the system knows it: workers share much with each other."""
    if hasattr(psutil, "LINUX") and psutil.LINUX:
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)
