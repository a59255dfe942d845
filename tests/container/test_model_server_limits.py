"""How the model server starts, refuses, times out and ends."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from sagehound.localcloud.container.model_server.work_queue import QueueFull, WorkQueue
from tests import waiting

from .model_server_process import ModelServer

HOLD = """
import os, time
{head}
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    path = data.decode()
    open(path + "." + str(time.monotonic_ns()) + ".begun", "w").close()
    while path and not os.path.exists(path): time.sleep(0.005)
    return "done"
"""

wait_for = partial(waiting.wait_for, limit=30)


def hold(head: str = "") -> str:
    """A handler that answers when the file named in its body appears."""
    return HOLD.replace("{head}", head)


class Background:
    """Posts in a thread, so that a test can look at the server meanwhile."""

    def __init__(self, server: ModelServer, body: Path) -> None:
        self.answer: tuple[int, str, bytes] | None = None
        self._thread = threading.Thread(target=self._run, args=(server, str(body).encode()))
        self._thread.start()

    def _run(self, server: ModelServer, body: bytes) -> None:
        self.answer = server.post(body, "a/b")

    def result(self) -> tuple[int, str, bytes]:
        self._thread.join(60)
        assert self.answer is not None
        return self.answer


def begun(folder: Path) -> int:
    return len(list(folder.glob("*.begun")))


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("def model_fn(model_dir):\n    raise FileNotFoundError('no model.pth')\n", "no model.pth"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("def model_fn(a, b, c, d): pass\n", "model_fn definition takes 1 or 2 arguments but 4 were given."),
        ("def transform_fn(m, d, c, a): pass\ndef output_fn(p, a): pass\n", "Cannot use transform_fn"),
        ("def predict_fn(d, m): pass\n", "Exactly one .pth or .pt file is required"),
        ("this is no python\n", "SyntaxError"),
    ],
)
def test_what_cannot_load_ends_with_its_traceback(tmp_path: Path, code: str, word: str) -> None:
    server = ModelServer(tmp_path, code)
    assert server.start().wait(60) == 1
    assert "Traceback (most recent call last)" in server.output
    assert word in server.output.splitlines()[-1]


def test_a_program_that_is_named_must_be_there(tmp_path: Path) -> None:
    server = ModelServer(tmp_path, "x = 1\n", SAGEMAKER_PROGRAM="other.py")
    assert server.start().wait(60) == 1
    assert "other.py is not in" in server.output
    assert "['inference.py']" in server.output


def test_a_submit_directory_below_the_model_is_found_where_the_model_lies(tmp_path: Path) -> None:
    folder = tmp_path / "model" / "source"
    folder.mkdir(parents=True)
    (folder / "serve.py").write_text("def model_fn(d): return 1\ndef transform_fn(m, d, c, a): return 'there'\n")
    submit = {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/source", "SAGEMAKER_PROGRAM": "serve.py"}
    with ModelServer(tmp_path, None, **submit) as server:
        assert server.post(b"", "a/b")[2] == b"there"


def test_one_request_at_a_time_and_503_at_once_when_the_queue_is_full(tmp_path: Path) -> None:
    with ModelServer(tmp_path, hold(), TS_JOB_QUEUE_SIZE="0") as server:
        first = Background(server, tmp_path / "first")
        wait_for(lambda: begun(tmp_path) == 1)
        status, _, _, headers = server.request("POST", "/invocations", b"")
        assert (status, headers["x-not-started"]) == (503, "true")
        assert server.request("GET", "/ping")[0] == 200
        assert begun(tmp_path) == 1
        (tmp_path / "first").touch()
        assert first.result()[0] == 200


async def test_the_queue_is_first_in_first_out() -> None:
    order: list[int] = []
    gate = threading.Event()
    work = WorkQueue(1, 10, 30)
    first = asyncio.create_task(work.run(gate.wait))
    others = [asyncio.create_task(work.run(partial(order.append, number))) for number in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await work.run(gate.wait)
    gate.set()
    await asyncio.gather(first, *others)
    assert order == list(range(10))
    assert await work.run(lambda: "room again") == "room again"


@pytest.mark.parametrize("place", ["here", "in a module that the functions come from"])
def test_a_thread_safe_module_gets_the_workers(tmp_path: Path, place: str) -> None:
    code = hold("THREAD_SAFE = True")
    if place != "here":
        package = tmp_path / "model" / "code" / "package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "serving.py").write_text(code)
        code = "from package.serving import model_fn, transform_fn\n"
    with ModelServer(tmp_path, code, SAGEMAKER_MODEL_SERVER_WORKERS="2") as server:
        both = [Background(server, tmp_path / "go"), Background(server, tmp_path / "go")]
        wait_for(lambda: begun(tmp_path) == 2)
        (tmp_path / "go").touch()
        assert [one.result()[0] for one in both] == [200, 200]


def test_thread_counts_are_set_before_the_users_code(tmp_path: Path) -> None:
    code = """
import os
SEEN = os.environ["OMP_NUM_THREADS"] + " " + os.environ["MKL_NUM_THREADS"]
def model_fn(model_dir): return None
def transform_fn(m, d, c, a): return SEEN
"""
    with ModelServer(tmp_path, code, SM_NUM_CPUS="1") as server:
        assert server.post(b"", "a/b")[2] == b"1 1"
    with ModelServer(tmp_path, code, SM_NUM_CPUS="1", OMP_NUM_THREADS="5") as server:
        assert server.post(b"", "a/b")[2] == b"5 1"


def test_a_slow_handler_is_answered_504_and_a_stuck_one_ends_the_server(tmp_path: Path) -> None:
    with ModelServer(tmp_path, hold(), SAGEMAKER_MODEL_SERVER_TIMEOUT="0.3") as server:
        status, _, body = server.post(str(tmp_path / "never").encode(), "a/b")
        assert status == 504
        assert b"did not answer in time" in body
        assert server.process is not None
        assert server.process.wait(30) == 70
        assert "the server ends and is started again" in server.output


def test_a_request_that_waited_too_long_is_never_started(tmp_path: Path) -> None:
    timeouts = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "60", "TS_DEFAULT_RESPONSE_TIMEOUT": "0.5"}
    with ModelServer(tmp_path, hold(), **timeouts) as server:
        first = Background(server, tmp_path / "go")
        wait_for(lambda: begun(tmp_path) == 1)
        status, _, _, headers = server.request("POST", "/invocations", str(tmp_path / "go").encode())
        assert status == 504
        assert headers["x-not-started"] == "true"
        (tmp_path / "go").touch()
        assert first.result()[0] == 504
        assert begun(tmp_path) == 1


def test_a_body_above_the_limit_is_refused(tmp_path: Path) -> None:
    with ModelServer(tmp_path, hold(), TS_MAX_REQUEST_SIZE="1000") as server:
        assert server.post(b"x" * 1001, "a/b")[0] == 413
        chunks = iter([b"x" * 600, b"x" * 600])
        assert server.request("POST", "/invocations", chunks)[0] == 413  # type: ignore[arg-type]


def test_sigterm_finishes_what_was_taken_in(tmp_path: Path) -> None:
    with ModelServer(tmp_path, hold()) as server:
        one = Background(server, tmp_path / "go")
        wait_for(lambda: begun(tmp_path) == 1)
        server.terminate()
        wait_for(lambda: not _connects(server))
        (tmp_path / "go").touch()
        assert one.result() == (200, "application/json", b"done")
        assert server.process is not None
        assert server.process.wait(30) == 0


def test_a_server_that_is_forgotten_ends(tmp_path: Path) -> None:
    """Whoever starts a server may die before it has noted that; the next one takes the place."""
    with ModelServer(tmp_path, hold(), SAGEMAKER_MODEL_SERVER_TIMEOUT="0.2") as server:
        server.port_file.write_text("1\n")
        assert server.process is not None
        assert server.process.wait(30) == 0
        assert "has been given to another one" in server.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "0"),
        ("TS_JOB_QUEUE_SIZE", "-1"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(tmp_path: Path, name: str, value: str) -> None:
    server = ModelServer(tmp_path, hold(), **{name: value})
    assert server.start().wait(60) == 1
    assert name in server.output.splitlines()[-1]
    assert value in server.output.splitlines()[-1]


def test_the_users_logging_is_one_json_line_a_record(tmp_path: Path) -> None:
    code = "import logging\nlogging.getLogger('mine').info('loading')\ndef model_fn(d): 1/0\n"
    server = ModelServer(tmp_path, code)
    assert server.start().wait(60) == 1
    line = server.output.splitlines()[0]
    assert '"level": "INFO"' in line
    assert '"logger": "mine", "message": "loading"' in line


def _connects(server: ModelServer) -> bool:
    try:
        return server.request("GET", "/ping")[0] == 200
    except OSError:
        return False
