"""The supervisor with real processes: how they end, what they print, and that nothing of them stays."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.supervisor import Exit, Program
from tests.waiting import is_alive, until

from .conftest import Lines, MakeHost, MakeProgram


@pytest.mark.parametrize("code", [0, 1, 42])
async def test_exit_code(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines, code: int
) -> None:
    handle = await supervisor.start(make_host(), python(f"import sys; print('here'); sys.exit({code})"))
    assert supervisor.is_running(handle)
    ended = await supervisor.follow(handle, lines)
    assert (ended, lines) == (Exit(code), ["here"])
    assert ended.success == (code == 0)
    assert not supervisor.is_running(handle)


async def test_death_by_signal(supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram) -> None:
    handle = await supervisor.start(make_host(), python("import os; os.kill(os.getpid(), 11)"))
    assert await supervisor.follow(handle, Lines()) == Exit(None, signal=signal.SIGSEGV)


async def test_environment_is_built_from_scratch(
    supervisor: LocalSupervisor, make_host: MakeHost, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_CHANNEL_TRAINING", "s3://somewhere")
    program = Program(["/usr/bin/env"], {"ONLY": "ü"}, Path("/"))
    assert (await supervisor.follow(await supervisor.start(make_host(), program), lines)).success
    assert lines == ["ONLY=ü"]


async def test_program_that_does_not_exist(supervisor: LocalSupervisor, make_host: MakeHost, lines: Lines) -> None:
    handle = await supervisor.start(make_host(), Program(["no-such-program"], {"PATH": "/bin"}, Path("/")))
    assert await supervisor.follow(handle, lines) == Exit(127)
    assert lines[-1].startswith("cannot start no-such-program in /: ")


async def test_stop_lets_a_program_end_itself(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    source = """
        import signal, sys, time
        def end(number, frame):
            print("saving"); sys.exit(7)
        signal.signal(signal.SIGTERM, end)
        print("ready")
        time.sleep(600)
    """
    handle = await supervisor.start(make_host(), python(source))
    follower = asyncio.create_task(supervisor.follow(handle, lines))
    await until(lambda: "ready" in lines)
    assert await supervisor.stop(handle, grace=30) == Exit(7)
    assert await follower == Exit(7)
    assert lines == ["ready", "saving"]


async def test_stop_right_after_start(supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram) -> None:
    handle = await supervisor.start(make_host(), python("import time; time.sleep(600)"))
    assert await supervisor.stop(handle, grace=30) == Exit(None, signal=signal.SIGTERM)


async def test_stop_kills_a_program_that_ignores_sigterm(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    source = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready")
        time.sleep(600)
    """
    handle = await supervisor.start(make_host(), python(source))
    follower = asyncio.create_task(supervisor.follow(handle, lines))
    await until(lambda: "ready" in lines)
    assert await supervisor.stop(handle, grace=0.2) == Exit(None, signal=signal.SIGKILL)
    assert await follower == Exit(None, signal=signal.SIGKILL)


GRANDCHILDREN = """
    import os, signal, subprocess, sys, time
    sleeper = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
    children = [subprocess.Popen(sleeper), subprocess.Popen(sleeper, start_new_session=True)]
    if os.fork() == 0:      # a daemon: its own session, its parent gone
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(1, b"pid %d\\n" % os.getpid())
            time.sleep(600)
        os._exit(0)
    for child in children:
        os.write(1, b"pid %d\\n" % child.pid)
    os.write(1, b"ready\\n")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only a Linux subreaper sees a daemon that left its session")
@pytest.mark.parametrize("ending", ["stop", "exit", "init killed"])
async def test_nothing_that_a_program_started_stays(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines, ending: str
) -> None:
    tail = "" if ending == "exit" else "    time.sleep(600)\n"
    handle = await supervisor.start(make_host(), python(GRANDCHILDREN + tail))
    follower = asyncio.create_task(supervisor.follow(handle, lines))
    await until(lambda: "ready" in lines and len(lines) == 4)
    pids = [int(line.split()[1]) for line in lines if line.startswith("pid")]
    if ending == "stop":
        await supervisor.stop(handle, grace=0.1)
    elif ending == "init killed":
        os.kill(handle["pid"], signal.SIGKILL)
    ended = await follower
    assert ended == {"stop": Exit(None, 15), "exit": Exit(0), "init killed": Exit(None, lost=True)}[ending]
    assert not [process for process in psutil.process_iter() if process.pid in pids and is_alive(process)]


async def test_output_without_newline_bad_bytes_and_progress_bar(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    source = r"""
        import os
        os.write(2, b"to stderr\nbad \xff byte\n\n10%\r50%\r100%\nwindows\r\nlast")
    """
    await supervisor.follow(await supervisor.start(make_host(), python(source)), lines)
    assert lines == ["to stderr", "bad \ufffd byte", "", "100%", "windows", "last"]


async def test_ten_megabytes_come_whole_and_leave_the_loop_alive(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    source = """
        import sys
        for first in range(0, 200_000, 1000):
            sys.stdout.write("".join(f"{number:07d} {'x' * 42}\\n" for number in range(first, first + 1000)))
    """
    handle = await supervisor.start(make_host(), python(source))
    follower = asyncio.create_task(supervisor.follow(handle, lines))
    turns = 0
    while not follower.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await follower).success
    assert lines == [f"{number:07d} {'x' * 42}" for number in range(200_000)]
    assert turns > 150, "10 MB in pieces of 64 KB leave a turn to others after each piece"


async def test_long_line_comes_in_pieces(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    handle = await supervisor.start(make_host(), python("print('ä' * 300_000); print('next')"))
    await supervisor.follow(handle, lines)
    assert "".join(lines[:-1]) == "ä" * 300_000
    assert lines[-1] == "next"
    assert all(len(line.encode()) <= 256 * 1024 for line in lines)


async def test_follow_goes_on_at_the_offset(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    handle = await supervisor.start(make_host(), python("for i in range(10): print(i)"))
    offsets: list[int] = []
    await supervisor.follow(handle, lambda _time, _line: offsets.append(supervisor.output_offset(handle)))
    assert offsets == list(range(2, 22, 2))
    await LocalSupervisor().follow(handle, lines, offsets[4])
    assert lines == ["5", "6", "7", "8", "9"]


async def test_second_program_on_a_host_has_its_own_output_and_exit(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    host = make_host()
    await supervisor.follow(await supervisor.start(host, python("print('install')")), Lines())
    handle = await supervisor.start(host, python("print('train'); raise SystemExit(3)"))
    assert await supervisor.follow(handle, lines) == Exit(3)
    assert lines == ["train"]
    supervisor.remove(handle)
    assert list((host.root / "run").iterdir()) == []


async def test_start_is_quick(supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram) -> None:
    """Not a timed assertion: prints the figure (median of 5, from start() to the program's first instruction)."""
    took = []
    for number in range(5):
        lines = Lines()
        program = Program(["/bin/date", "+%s.%N"], {}, Path("/"))
        began = time.time()
        await supervisor.follow(await supervisor.start(make_host(f"algo-{number}"), program), lines)
        took.append(float(lines[0]) - began)
    print(f"start to first instruction: {sorted(took)[2] * 1000:.1f} ms")
    assert all(seconds > 0 for seconds in took)


async def test_follower_is_cancelled_in_the_very_turn_of_new_output(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram
) -> None:
    handle = await supervisor.start(make_host(), python("import time\nwhile True: print('x'); time.sleep(0.0005)"))
    for _ in range(200):
        seen = asyncio.Event()
        follower = asyncio.create_task(supervisor.follow(handle, lambda _time, _line, seen=seen: seen.set()))
        await seen.wait()
        follower.cancel()
        await asyncio.wait([follower])
        assert follower.cancelled()
    await supervisor.stop(handle, grace=30)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\udcff"])
async def test_an_exit_that_cannot_be_read_is_a_lost_one(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines, content: str
) -> None:
    """A power cut leaves such files."""
    host = make_host()
    handle = await supervisor.start(host, python("print('there')"))
    await supervisor.follow(handle, lines)
    (host.root / "run" / "exit.json").write_text(content, errors="surrogateescape")
    assert await LocalSupervisor().follow(handle, lines) == Exit(None, lost=True)
