"""A server that is killed leaves no function behind, in a sandbox or without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SERVER = """
    import asyncio, sys
    from pathlib import Path
    from tests.functions.bench import Bench

    FUNCTION = '''
    import subprocess, sys, time
    def lambda_handler(event, context):
        if event:
            subprocess.Popen(["sleep", sys.argv[0] and event], start_new_session=True)
            print("READY")
            time.sleep(600)
    '''

    async def main():
        bench = Bench(Path(sys.argv[1]), sandbox=sys.argv[2] == "private")
        await bench.engine.start()
        await bench.engine.ready()
        if (sys.argv[2] == "private") != bench.engine.private:
            print("refused", flush=True)
            return
        spec = bench.function(FUNCTION, timeout=600)
        await bench.engine.provision(spec, 2)
        busy = asyncio.create_task(bench.invoke(spec, sys.argv[3], provisioned=True))
        while not any("READY" in lines for lines in bench.logged.values()):
            await asyncio.sleep(0.02)
        print("running", flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["private", "open"])
def test_no_process_of_a_function_survives_a_killed_server(tmp_path: Path, kind: str) -> None:
    seconds = f"{os.getpid()}.0625"
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), str(tmp_path), kind, seconds],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        if server.stdout.readline() == "refused\n":
            pytest.skip("this kernel lets nobody have namespaces")
        started = psutil.Process(server.pid).children(recursive=True)
        assert len(started) >= 6  # the spawner, two inits, two runtimes, and what a handler has started
        assert any(seconds in process.cmdline() for process in started)
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    _gone, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
