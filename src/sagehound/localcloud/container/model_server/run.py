"""The life of one model server: environment, threads, model, then requests until SIGTERM."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop

from .app import App
from .configuration import Configuration, from_environment
from .handlers import Handler, user_traceback
from .threads import is_thread_safe, limit_threads
from .work_queue import WorkQueue

LOOK_SECONDS = 5.0
"""Between two looks of a server at itself."""

_WITHOUT_EFFECT = (
    "SAGEMAKER_TS_BATCH_SIZE",
    "SAGEMAKER_TS_MAX_BATCH_DELAY",
    "SAGEMAKER_TS_MIN_WORKERS",
    "SAGEMAKER_TS_MAX_WORKERS",
    "SAGEMAKER_MULTI_MODEL",
)
"""What AWS's containers read and this server does not do."""


class _JsonLines(logging.Formatter):
    """One JSON object a record: CloudWatch Logs keeps multi-line tracebacks in one event and can filter by member."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Server(uvicorn.Server):
    """uvicorn, ending with status 0 once everything taken in is answered (it would raise the signal again)."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def main() -> int:
    """Serve until SIGTERM. The exit code is 1, the traceback printed last, when the model cannot be loaded."""
    _log_to_stdout()
    try:
        configuration = from_environment(os.environ)
        logging.getLogger().setLevel(configuration.log_level)
        for name in _WITHOUT_EFFECT:
            if name in os.environ:
                print(f"WARNING: {name} has no effect: requests are handled one by one, of one model", flush=True)
        workers = _set_up_threads(configuration)
        listener = _bind(configuration)
        began = time.perf_counter()
        handler = Handler(configuration)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything; its words are the endpoint's reason
        print(user_traceback(error), end="", flush=True)
        return 1
    print(
        f"model loaded in {time.perf_counter() - began:.2f} s; {workers} request(s) at a time on "
        f"{configuration.cores} core(s)",
        flush=True,
    )
    uvloop.run(_serve(configuration, handler, workers, listener))
    return 0


def _log_to_stdout() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[output])


def _set_up_threads(configuration: Configuration) -> int:
    """How many requests run at a time, and the thread counts of the libraries that the user's code will load."""
    safe = is_thread_safe(configuration.code_dir / configuration.program, configuration.code_dir)
    workers = (configuration.workers or configuration.cores) if safe else 1
    if not safe and (configuration.workers or 1) > 1:
        print("SAGEMAKER_MODEL_SERVER_WORKERS has no effect: the module does not say THREAD_SAFE = True", flush=True)
    limit_threads(os.environ, configuration.cores, workers)
    return workers


def _bind(configuration: Configuration) -> socket.socket:
    """Take the port and say which; connections are refused until the model is loaded and the server listens."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((configuration.host, configuration.port))
    if configuration.port_file is not None:
        temporary = configuration.port_file.with_suffix(".new")
        temporary.write_text(f"{listener.getsockname()[1]}\n")
        temporary.replace(configuration.port_file)
    return listener


async def _serve(configuration: Configuration, handler: Handler, workers: int, listener: socket.socket) -> None:
    work = WorkQueue(workers, configuration.queue_size, configuration.timeout)
    app = App(handler, work, configuration.max_request_size, configuration.started_file, configuration.key)
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=3600,
            backlog=1024,
        )
    )
    port = listener.getsockname()[1]
    threading.Thread(target=_watch, args=(work, configuration, port), daemon=True).start()
    await server.serve(sockets=[listener])


def _watch(work: WorkQueue, configuration: Configuration, port: int) -> None:
    """End the process when it can serve no more: a handler that never returns, or a place that is another's by now."""
    timeout = configuration.timeout
    while not work.overdue(2 * timeout):
        if _is_replaced(configuration.port_file, port):
            print("this server's place has been given to another one: it ends", flush=True)
            signal.raise_signal(signal.SIGTERM)
            return
        time.sleep(min(timeout, LOOK_SECONDS))
    # A thread cannot be ended, and it holds its worker.
    print(
        f"a handler has been running for more than {2 * timeout:g} s: the server ends and is started again", flush=True
    )
    os._exit(70)


def _is_replaced(port_file: Path | None, port: int) -> bool:
    """Whether whoever started this server has forgotten it (it died in that moment) or deleted its directory."""
    if port_file is None:
        return False
    try:
        return port_file.read_text().strip() != str(port)
    except FileNotFoundError:
        return True
