"""The launcher that stands in for mpirun, as the supervisor runs it: by path, told by its arguments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.container.distribution import LAUNCHER, DistributionError, mpi_options

SLEEP = "import time; time.sleep(600)"


def launch(source: str, *options: str, processes: int = 2, node: int = 0) -> subprocess.Popen[str]:
    where = ["--hosts", "3", "--node", str(node), "--processes", str(processes)]
    command = [sys.executable, "-I", "-S", str(LAUNCHER), *where, *options, "--", sys.executable, "-u", "-c", source]
    return subprocess.Popen(
        command,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "4"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_each_process_has_a_rank_of_its_own() -> None:
    names = ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMP_NUM_THREADS", "X"]
    source = f"import json, os; print(json.dumps([os.environ.get(n) for n in {names!r}]))"
    output, errors = launch(source, "--set", "X=a=b", node=1).communicate(timeout=60)
    told = sorted(json.loads(line) for line in output.splitlines() if line.startswith("["))
    assert told == [["2", "6", "0", "2", "a=b"], ["3", "6", "1", "2", "a=b"]], errors


def test_the_first_failure_ends_the_others_and_is_the_exit_code() -> None:
    source = f"import os, sys\nif os.environ['OMPI_COMM_WORLD_LOCAL_RANK'] == '1': sys.exit(9)\n{SLEEP}"
    process = launch(source, processes=3)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 9
    assert "Process 1 of this host ended with exit code 9: the others are ended." in errors


def test_a_killed_process_kills_the_launcher_by_the_same_signal() -> None:
    process = launch(f"print('ready')\n{SLEEP}")
    assert process.stdout is not None
    while process.stdout.readline() != "ready\n":
        pass
    first, second = psutil.Process(process.pid).children()
    first.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not second.is_running()


def test_sigterm_reaches_every_process_once() -> None:
    source = (
        "import signal, sys, time\n"
        "heard = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: heard.append('heard'))\n"
        "print('ready')\n"
        "while not heard: time.sleep(.01)\n"
        "time.sleep(.3); print(*heard); sys.exit(0)\n"
    )
    process = launch(source)
    assert process.stdout is not None
    lines: list[str] = []
    while lines.count("ready\n") < 2:
        lines.append(process.stdout.readline())
    # As the init of a host does it: its parent, and to every process. The launcher does not repeat it.
    for each in [*psutil.Process(process.pid).children(), psutil.Process(process.pid)]:
        each.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.splitlines() == ["heard", "heard"]


def test_sigterm_of_anybody_else_is_passed_on() -> None:
    source = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(3))\nprint('ready')\ntime.sleep(600)\n"
    process = launch(source)
    assert process.stdout is not None
    ready = 0
    while ready < 2:
        ready += process.stdout.readline() == "ready\n"
    subprocess.run(["/bin/sh", "-c", f"kill -TERM {process.pid}"], check=True)
    process.communicate(timeout=60)
    assert process.returncode == 3


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    told = [
        sys.executable,
        str(LAUNCHER),
        "--hosts",
        "1",
        "--node",
        "0",
        "--processes",
        "1",
        "--",
        str(tmp_path / "no"),
    ]
    finished = subprocess.run(told, capture_output=True, text=True, check=False)
    assert finished.returncode == 127
    assert "cannot start" in finished.stderr


@pytest.mark.parametrize(
    ("text", "variables", "ignored"),
    [
        ("", {}, []),
        ("-x A=1 -x PATH --oversubscribe", {"A": "1"}, ["--oversubscribe"]),
        ("--NCCL_DEBUG=INFO -x B='x y'", {"NCCL_DEBUG": "INFO", "B": "x y"}, []),
        ("-x", {}, ["-x"]),
    ],
)
def test_custom_options_of_mpirun(text: str, variables: dict[str, str], ignored: list[str]) -> None:
    assert mpi_options(text) == (variables, ignored)


def test_options_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(DistributionError, match="No closing quotation"):
        mpi_options("-x A='1")
