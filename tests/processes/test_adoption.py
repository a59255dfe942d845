"""A server that dies: its programs go on, and the next server adopts them without losing or doubling a line."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.log_pump import LogPump
from sagehound.localcloud.processes.supervisor import Exit
from tests.waiting import until

from .conftest import Lines, MakeHost, MakeProgram

SERVER = """
import asyncio, json, sqlite3, sys
from pathlib import Path
from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.log_pump import LogPump
from sagehound.localcloud.processes.supervisor import Host, Program

root = Path(sys.argv[1])
database = sqlite3.connect(root / "log.db", isolation_level=None)

def sink(batch, offset):
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT INTO events VALUES (?, ?)", batch)
    database.execute("UPDATE position SET offset = ?", (offset,))
    database.execute("COMMIT")

async def main():
    supervisor = LocalSupervisor()
    handle_path = root / "handle.json"
    if not handle_path.exists():
        program = Program([sys.executable, "-u", "-c", sys.argv[2]], {}, Path("/"))
        handle = await supervisor.start(Host("algo-1", root / "algo-1"), program)
        handle_path.with_suffix(".new").write_text(json.dumps(handle))
        handle_path.with_suffix(".new").rename(handle_path)
    handle = json.loads(handle_path.read_text())
    offset = database.execute("SELECT offset FROM position").fetchone()[0]
    print("following", flush=True)
    end = await LogPump(supervisor, handle, sink, offset).run()
    print("ended", end.code, flush=True)

asyncio.run(main())
"""

WRITER = """
import time
for number in range(3000):
    print(number)
    if number % 10 == 0:
        time.sleep(0.002)
raise SystemExit(5)
"""


def _server(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SERVER, str(root), WRITER], stdout=subprocess.PIPE, text=True)


def test_kill_9_of_the_server_loses_and_doubles_no_line(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE events (time REAL, line TEXT)")
    database.execute("CREATE TABLE position (offset INTEGER)")
    database.execute("INSERT INTO position VALUES (0)")
    kills, ended = 0, ""
    while not ended:
        server = _server(tmp_path)
        assert server.stdout is not None
        assert server.stdout.readline() == "following\n"
        before = database.execute("SELECT count(*) FROM events").fetchone()[0]
        while server.poll() is None and kills < 3:
            if database.execute("SELECT count(*) FROM events").fetchone()[0] > before:
                server.send_signal(signal.SIGKILL)
                kills += 1
                break
        ended = server.stdout.read()
        server.wait()
        server.stdout.close()
    assert ended == "ended 5\n"
    assert kills == 3
    lines = [int(line) for (line,) in database.execute("SELECT line FROM events ORDER BY rowid")]
    assert lines == list(range(3000))
    database.close()


async def test_exit_is_known_when_the_program_ended_while_no_server_lived(
    make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    host = make_host()
    handle = await LocalSupervisor().start(host, python("print('alone'); raise SystemExit(9)"))
    await until((host.root / "run" / "exit.json").exists)
    adopted = LocalSupervisor()
    assert await adopted.follow(json.loads(json.dumps(handle)), lines) == Exit(9)
    assert lines == ["alone"]


async def test_a_reused_process_number_is_not_the_program(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram
) -> None:
    handle = await supervisor.start(make_host(), python("import time; time.sleep(600)"))
    stranger = {**handle, "create_time": handle["create_time"] - 1}
    earlier_boot = {**handle, "boot_id": "another"}
    for other in (stranger, earlier_boot):
        assert not supervisor.is_running(other)
        assert (await supervisor.stop(other, grace=0)).lost
    assert supervisor.is_running(handle)
    await supervisor.stop(handle, grace=30)


async def test_pump_hands_over_batches(supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram) -> None:
    batches: list[tuple[int, int]] = []
    handle = await supervisor.start(make_host(), python("for i in range(2500): print(f'{i:09d}')"))
    pump = LogPump(supervisor, handle, lambda batch, offset: batches.append((len(batch), offset)))
    assert await pump.run() == Exit(0)
    assert sum(size for size, _ in batches) == 2500
    assert max(size for size, _ in batches) <= 1000
    assert [offset for _, offset in batches][-1] == 25_000


async def test_error_of_the_sink_ends_the_pump(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram
) -> None:
    def full(_batch: object, _offset: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    handle = await supervisor.start(make_host(), python("import time; print('x'); time.sleep(600)"))
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        await LogPump(supervisor, handle, full).run()
    assert supervisor.is_running(handle)
    await supervisor.stop(handle, grace=30)


async def test_a_program_whose_handle_was_lost_is_found_by_its_root(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram, lines: Lines
) -> None:
    first, second = make_host("algo-1"), make_host("algo-2")
    source = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(4)); print('here'); time.sleep(600)"
    handles = [await supervisor.start(host, python(source)) for host in (first, second)]
    successor = LocalSupervisor()
    assert successor.find(second.root) == handles[1]
    follower = asyncio.create_task(successor.follow(handles[1], lines))
    await until(lambda: "here" in lines)
    assert await successor.stop(handles[1], grace=30) == Exit(4)
    await follower
    assert successor.find(second.root) is None
    assert successor.find(first.root) == handles[0]
    await successor.stop(handles[0], grace=0)
    assert not successor.is_running(handles[0])


async def test_ends_are_told_with_their_times_although_leftovers_stay(
    supervisor: LocalSupervisor, make_host: MakeHost, python: MakeProgram
) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
    leaving = f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", {stubborn!r}], stdout=subprocess.PIPE)
        child.stdout.readline()
        raise SystemExit(1)
    """
    before = time.time()
    first = await supervisor.start(make_host("algo-1"), python(leaving))
    early = await supervisor.follow(first, Lines())
    after = time.time()
    assert early.at is not None
    # The program's own end, not that of its leftover, which is killed a second later.
    assert before < early.at < after - 0.9
