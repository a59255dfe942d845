"""JupyterLab as it runs inside a notebook instance: sessions end, strangers and other pages see nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import websocket
import zmq
from zmq.utils.monitor import recv_monitor_message

from sagehound.localcloud.notebooks.inside import links, state
from tests.cloud.notebooks import Browser
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(200)
KEY = b"k" * 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[str]:
    """The address of a JupyterLab of an instance whose key we know."""
    own = tmp_path_factory.mktemp("own")
    (own / state.KEY_FILE).write_bytes(KEY)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    inside = str(Path(state.__file__).parent)
    process = subprocess.Popen([sys.executable, inside, "jupyter", str(own), str(home)], env=environment)
    port = own / state.PORT_FILE

    def answers() -> bool:
        try:
            return bool(requests.get(f"http://127.0.0.1:{port.read_text()}/api", timeout=60).ok)
        except (OSError, ValueError):
            return False

    try:
        wait_for(answers, "JupyterLab to answer", limit=120)
        yield f"http://127.0.0.1:{port.read_text()}"
    finally:
        process.terminate()
        process.wait(30)


def link(base: str, seconds: int) -> str:
    return f"{base}/login?authToken={links.issue(KEY, time.time(), seconds)}"


def test_a_session_ends_at_its_time_though_the_browser_keeps_its_cookie(base) -> None:
    lasting = Browser(link(base, 3600))
    for seconds in (3, 6, 12, 24, 48):  # as many as this machine needs to open a session and to use it
        ends = time.time() + seconds
        short = Browser(link(base, seconds))
        kept = {cookie.name: str(cookie.value) for cookie in short.session.cookies}
        status = requests.get(f"{base}/api/contents", cookies=kept, timeout=60).status_code
        if time.time() < ends:
            break
    assert status == 200
    wait_for(
        lambda: requests.get(f"{base}/api/contents", cookies=kept, timeout=60).status_code == 403, "the session to end"
    )
    assert lasting.get("/api/contents").status_code == 200


def test_without_a_session_there_is_nothing_but_a_sentence(base) -> None:
    for path in ("/", "/lab", "/lab/tree/x", "/login", "/login?authToken=", "/login?authToken=x.y", "/lab?token="):
        answer = requests.get(base + path, timeout=60)
        assert answer.status_code == 403, path
        assert "sagehound notebook" in answer.text, path
    for path in (
        *("/api/contents", "/api/kernels", "/api/terminals", "/api/sessions", "/lab/api/settings", "/lsp/status"),
        *("/metrics", "/files/x", "/nbconvert/html/x", "/api/status", "/api/me", "/api/events/subscribe"),
    ):
        assert requests.get(base + path, timeout=60).status_code == 403, path
    posted = requests.post(f"{base}/login", data={"password": ""}, timeout=60)
    assert posted.status_code in (403, 405)


def test_another_page_cannot_use_the_session(base) -> None:
    """No token against forgery, no kernel; and no name but the loopback's leads here."""
    browser = Browser(link(base, 3600))
    forged = browser.session.post(f"{base}/api/kernels", json={"name": "python3"}, timeout=60)
    assert forged.status_code == 403
    elsewhere = browser.session.get(f"{base}/api/contents", headers={"Host": "evil.example"}, timeout=60)
    assert elsewhere.status_code == 403
    shown = link(base, 3600)
    assert requests.get(shown, headers={"Host": "evil.example"}, timeout=60).status_code == 403
    assert Browser(shown).opened.url == f"{base}/lab"  # and what was refused has not used the link up


def test_a_kernel_is_reached_by_pages_of_its_own_server_with_a_session_only(base) -> None:
    browser = Browser(link(base, 3600))
    kernel = browser.kernel()
    for origin, given in (("http://evil.example", {}), ("http://127.0.0.1:1", {}), (base, {"cookie": None})):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            browser.channel(kernel, origin, **given)
        assert caught.value.status_code == 403
    browser.channel(kernel, base).close()
    browser.send("DELETE", f"/api/kernels/{kernel}")


def test_who_connects_to_a_kernel_s_port_is_not_let_in(base, home) -> None:
    """Its ports are on loopback, where other people of the machine may be too."""
    browser = Browser(link(base, 3600))
    kernel = browser.kernel()
    runtime = home / ".local" / "share" / "jupyter" / "runtime"
    ports = json.loads(wait_for(lambda: (runtime / f"kernel-{kernel}.json").read_bytes(), "the kernel's ports"))
    browser.channel(kernel, base).close()
    with zmq.Context() as context, context.socket(zmq.SUB) as stranger:
        events = stranger.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        stranger.subscribe(b"")
        stranger.connect(f"tcp://127.0.0.1:{ports['iopub_port']}")
        assert events.poll(60_000)
        assert recv_monitor_message(events)["event"] == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        stranger.disable_monitor()
        events.close()
    assert browser.run("print(6 * 7)") == "42\n"
    browser.send("DELETE", f"/api/kernels/{kernel}")
