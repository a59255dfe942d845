"""How long SageMaker's SDK v2 takes for a whole flow, and how much of that are its own sleeps between two looks.

Run from the project's folder: `python -m benchmarks clients`. The SDK is the one of constraints/clients-v2.txt, in an
environment of its own, under `sagehound exec`; it is not changed. Its sleeps are measured from outside: every 10 ms the
kernel is asked (/proc/PID/syscall) whether the client's main thread is inside clock_nanosleep, which is where
time.sleep is. What is left of the wall clock is the work: of it the client's own processor time is told as well (it
imports itself, packs and unpacks), and how long its main thread was ready and waited for a processor (both from the
kernel: on a machine that does other things, too, this is theirs); the rest is waiting for answers. Jobs and endpoints
work while the SDK sleeps; how long the jobs took by themselves is told beside it. Pictures and network are small.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.clients.dogs import pictures
from tests.clients.environments import environment
from tests.clients.scenarios import command
from tests.cloud_process import CloudProcess

FLOW = Path(__file__).with_name("clients_flow.py")
CODE = Path(__file__).with_name("clients_code")
NANOSLEEP = {"x86_64": "230", "aarch64": "115"}[platform.machine()]
TICK = 0.01
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Watched:
    """A running client: which step it is in, and whether its main thread sleeps."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._step = "start"
        self.wall: dict[str, float] = defaultdict(float)
        self.slept: dict[str, float] = defaultdict(float)
        self.computed: dict[str, float] = defaultdict(float)
        self.queued: dict[str, float] = defaultdict(float)
        self.lines: list[str] = []

    def watch(self) -> int:
        """Look until it ends; its exit code."""
        reader = threading.Thread(target=self._read)
        reader.start()
        before, (computed, queued) = time.perf_counter(), self._scheduled((0.0, 0.0))
        while self._process.poll() is None:
            sleeps = self._sleeps()
            time.sleep(TICK)
            now = time.perf_counter()
            self.wall[self._step] += now - before
            # The moment counts as slept where it began and ended asleep.
            if sleeps and self._sleeps():
                self.slept[self._step] += now - before
            computed_now, queued_now = self._scheduled((computed, queued))
            self.computed[self._step] += computed_now - computed
            self.queued[self._step] += queued_now - queued
            before, computed, queued = now, computed_now, queued_now
        reader.join()
        return self._process.returncode

    def _sleeps(self) -> bool:
        try:
            return Path(f"/proc/{self._process.pid}/syscall").read_text().split(" ", 1)[0] == NANOSLEEP
        except (FileNotFoundError, ProcessLookupError):
            return False

    def _scheduled(self, last: tuple[float, float]) -> tuple[float, float]:
        """Seconds of processor time that the client has had, and that its main thread has waited for some."""
        place = Path(f"/proc/{self._process.pid}")
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            queued = int((place / "schedstat").read_text().split()[1]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            return last
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND, queued

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if line.startswith("STEP "):
                self._step = line.split()[1]


def flow(cloud: CloudProcess, folder: Path) -> Watched:
    """The flow once, by a client in its own environment."""
    python = environment("clients-v2")
    with zipfile.ZipFile(pictures(folder)) as archive:
        archive.extractall(folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    process = subprocess.Popen(
        command(cloud, [str(python), str(FLOW), str(CODE), str(folder / "dogImages")]),
        env={**kept, "HOME": str(folder), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watched = Watched(process)
    if watched.watch() != 0:
        raise SystemExit(f"the flow failed:\n{''.join(watched.lines)}")
    return watched


def by_themselves(cloud: CloudProcess) -> dict[str, float]:
    """Seconds that the cloud took for its own work: each training job from its creation to its end."""
    sagemaker = cloud.client("sagemaker")
    jobs = sagemaker.list_training_jobs(SortBy="CreationTime", SortOrder="Ascending")["TrainingJobSummaries"]
    return {
        job["TrainingJobName"]: round((job["TrainingEndTime"] - job["CreationTime"]).total_seconds(), 1) for job in jobs
    }


def main() -> None:
    """Run the flow once and tell each step."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    place = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(place / "cloud", "--other-hosts", "refuse").start()
    try:
        watched = flow(cloud, place)
        jobs = by_themselves(cloud)
    finally:
        cloud.stop()
        shutil.rmtree(place, ignore_errors=True)
    _tell(watched, jobs)


def _tell(watched: Watched, jobs: dict[str, float]) -> None:
    columns = (watched.wall, watched.slept, watched.computed, watched.queued)
    steps = {name: [column[name] for column in columns] for name in watched.wall}
    steps["together"] = wall, slept, computed, queued = [sum(column.values()) for column in columns]
    heads = ("wall s", "slept by the SDK", "work", "of it its own CPU", "queued for a CPU", "waited for answers")
    print(f"{'step':<10}{'  '.join(heads)}")
    for name, row in steps.items():
        work = row[0] - row[1]
        values = (row[0], row[1], work, row[2], row[3], max(0.0, work - row[2] - row[3]))
        cells = [f"{value:{len(head)}.1f}" for head, value in zip(heads, values, strict=True)]
        print(f"{name:<10}{'  '.join(cells)}")
    waited = max(0.0, wall - slept - computed - queued)
    # The jobs work while the SDK sleeps; added to what it waited for, they are the most that can be ours.
    ours = waited + sum(jobs.values())
    print(f"waited for answers: {waited / wall:.1%} of the wall clock; with the jobs' own time {ours / wall:.1%}")
    print("training jobs by themselves, s: " + ", ".join(f"{seconds}" for seconds in jobs.values()))
    told: dict[str, Any] = {"wall_s": round(wall, 1), "slept_s": round(slept, 1), "client_cpu_s": round(computed, 1)}
    told |= {"queued_s": round(queued, 1), "waited_s": round(waited, 1), "waited_share": round(waited / wall, 3)}
    told |= {"jobs_s": list(jobs.values()), "waited_and_jobs_share": round(ours / wall, 3)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
