"""What the search does to the process of the server: no heavy imports, nothing on its standard error, nothing left"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap

import psutil

from tests.search.test_worker_process import request


def test_the_worker_ends_with_its_server_and_nothing_of_it_is_said_aloud() -> None:
    """A process of its own asks and is killed; its worker sees its input close. Its standard error stays empty."""
    script = f"""
        import asyncio, os, signal
        from sagehound.localcloud.search.worker_process import WorkerProcess
        async def main():
            worker = WorkerProcess()
            await worker.ask({json.dumps(request())})
            print(worker.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stderr == ""
    pid = int(ended.stdout)
    if psutil.pid_exists(pid):
        psutil.Process(pid).wait(timeout=30)


def test_the_server_imports_neither_torch_nor_optuna() -> None:
    script = """
        import asyncio, sys
        from sagehound.localcloud.search.space import Space
        from sagehound.localcloud.search.strategy import open_search
        from tests.search.spaces import HEAD, ended, loss
        async def main():
            search = open_search(HEAD, strategy="Bayesian", minimize=True, seed=1, early_stopping="Auto",
                                 strategy_config={}, max_jobs=None)
            history = []
            for number in range(11):
                point = await search.ask(number, history)
                history.append(ended(number, point, loss(point)))
                await search.should_stop(number, history)
            await search.close()
        asyncio.run(main())
        print([name for name in ("torch", "optuna", "scipy") if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.stdout.strip(), ended.stderr) == ("[]", "")
