"""Hosts that are not AWS's: passed on whole and unchanged, by the server's own proxy where it has one, or refused."""

from __future__ import annotations

import gzip
import http.client
import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_process import CloudProcess
from tests.interception.another_machine import answering, echo, repeating, upstream
from tests.interception.support import ask, connect, open_tunnel, own_address, read_all, read_head

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(no_proxies: None, tmp_path: Path) -> Iterator[list[CloudProcess]]:
    """Servers that a test has started with an environment or with options of its own; they are stopped behind it."""
    clouds: list[CloudProcess] = []
    yield clouds
    for cloud in clouds:
        if cloud.process is not None:
            cloud.stop()


def _get(cloud: CloudProcess, url: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
    connection.request("GET", url, headers=headers)
    return connection.getresponse()


def test_a_tunnel_carries_everything_both_ways_and_half_of_it_may_end(cloud: CloudProcess) -> None:
    address, content = own_address(), os.urandom(5_000_000)
    with answering(address, echo) as port, open_tunnel(cloud, f"{address}:{port}") as raw:
        writer = threading.Thread(target=lambda: (raw.sendall(content), raw.shutdown(socket.SHUT_WR)))
        writer.start()
        assert read_all(raw) == content
        writer.join()


def test_what_the_other_side_says_first_arrives(cloud: CloudProcess) -> None:
    address = own_address()
    with (
        answering(address, lambda connection: connection.sendall(b"220 hello\r\n")) as port,
        open_tunnel(cloud, f"{address}:{port}") as raw,
    ):
        assert read_all(raw) == b"220 hello\r\n"


def test_a_client_that_goes_away_ends_the_other_side(cloud: CloudProcess) -> None:
    address, ended = own_address(), threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"x")
        connection.recv(1)
        ended.set()

    with answering(address, talk) as port:
        raw = open_tunnel(cloud, f"{address}:{port}")
        assert raw.recv(1) == b"x"
        raw.close()
        assert ended.wait(60)


def test_nobody_there_is_told_with_the_reason(cloud: CloudProcess) -> None:
    address = own_address()
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
    answer = ask(cloud, f"CONNECT {address}:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"refused" in answer
    unknown = ask(cloud, b"CONNECT no.such.host.invalid:443 HTTP/1.1\r\n\r\n")
    assert unknown.startswith(b"HTTP/1.1 502 ")
    assert b"no.such.host.invalid is not known" in unknown
    assert b"502" in ask(cloud, b"GET http://no.such.host.invalid/ HTTP/1.1\r\nConnection: close\r\n\r\n")


def test_plain_http_is_forwarded_as_it_was_said(cloud: CloudProcess) -> None:
    address, asked = own_address(), []
    packed = gzip.compress(b"content")
    answer = (
        b"HTTP/1.1 200 Fine\r\nContent-Length: %d\r\nContent-Encoding: gzip\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
    )
    answer += b"Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n\r\n"
    with answering(address, repeating(answer % len(packed) + packed, asked)) as port:
        url = f"http://{address}:{port}/a%20b/%2e%2e/c?q=%41&r=a+b"
        got = _get(
            cloud, url, **{"X-Mine": "1", "Proxy-Authorization": "Basic secret", "Proxy-Connection": "keep-alive"}
        )
        assert got.status == 200
        assert got.read() == packed
        assert got.headers.get_all("set-cookie") == ["a=1", "b=2"]
        assert "keep-alive" not in got.headers
        head = asked[0].decode()
        assert head.startswith(f"GET /a%20b/%2e%2e/c?q=%41&r=a+b HTTP/1.1\r\nhost: {address}:{port}\r\n")
        assert "x-mine: 1" in head
        assert "via: 1.1 sagehound-" in head.lower()
        assert "secret" not in head
        assert "proxy-" not in head.lower()


@pytest.mark.parametrize("length", [0, 11, 3_000_000])
def test_a_body_is_forwarded_whole(cloud: CloudProcess, length: int) -> None:
    address, asked = own_address(), []
    with answering(address, repeating(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", asked)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
        content = os.urandom(length)
        connection.request("POST", f"http://{address}:{port}/", body=content)
        assert connection.getresponse().status == 201
        assert asked[0].partition(b"\r\n\r\n")[2] == content


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nEtag: x\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    ],
)
def test_every_kind_of_answer_comes_back(cloud: CloudProcess, answer: bytes) -> None:
    address, asked = own_address(), []
    with answering(address, repeating(answer, asked)) as port:
        got = _get(cloud, f"http://{address}:{port}/")
        assert got.status == int(answer.split(b" ")[1])
        assert got.read() == (b"no" if got.status == 404 else b"")
    assert len(asked) == 1


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(cloud: CloudProcess) -> None:
    address = own_address()
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"
    with answering(address, repeating(half, [])) as port, pytest.raises(http.client.IncompleteRead):
        _get(cloud, f"http://{address}:{port}/").read()
    assert cloud.client("sts").get_caller_identity()["Account"] == cloud.account_id


def test_a_download_ends_with_its_client(cloud: CloudProcess) -> None:
    address, broken = own_address(), threading.Event()

    def endless(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.sendall(bytes(65536))
        except OSError:
            broken.set()

    with answering(address, endless) as port:
        with connect(cloud) as raw:
            raw.sendall(f"GET http://{address}:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for _ in range(10):
                assert raw.recv(1000)
        assert broken.wait(60)


def test_other_hosts_can_be_refused(started: list[CloudProcess], tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path, "--other-hosts", "refuse").start()
    started.append(cloud)
    address = own_address()
    with answering(address, echo) as port:
        for message in (f"CONNECT {address}:{port} HTTP/1.1\r\n\r\n", f"GET http://{address}:{port}/ HTTP/1.1\r\n\r\n"):
            answer = ask(cloud, message.encode())
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert b"not AWS's" in answer
    open_tunnel(cloud, "sts.amazonaws.com:443").close()


def test_clients_of_other_machines_reach_aws_and_nothing_else(started: list[CloudProcess], tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path, "--host", "0.0.0.0", "--allow-remote").start()
    started.append(cloud)
    address = own_address()
    with answering(address, echo) as port:
        for asked, status in ((f"{address}:{port}", b"403"), ("sts.amazonaws.com:443", b"200")):
            with socket.create_connection((address, cloud.port), timeout=60) as raw:
                raw.sendall(f"CONNECT {asked} HTTP/1.1\r\n\r\n".encode())
                assert read_head(raw).split(b" ")[1] == status


def test_a_client_that_is_gone_before_it_is_looked_at_is_not_taken_for_one_of_this_machine(
    started: list[CloudProcess], tmp_path: Path
) -> None:
    """What it has sent is read all the same, but the kernel does not tell its address any more."""
    cloud = CloudProcess(tmp_path, "--host", "0.0.0.0", "--allow-remote").start()
    started.append(cloud)
    address, asked = own_address(), []
    with answering(address, repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", asked)) as port:
        assert cloud.process is not None
        cloud.process.send_signal(signal.SIGSTOP)
        with socket.create_connection((address, cloud.port), timeout=60) as raw:
            raw.sendall(f"GET http://{address}:{port}/from-afar HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        cloud.process.send_signal(signal.SIGCONT)
        assert _get(cloud, f"http://{address}:{port}/from-here").status == 200
    assert [head.split(b" ")[1] for head in asked] == [b"/from-here"]


def test_the_servers_own_proxy_is_the_way_out(
    started: list[CloudProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunnels: list[bytes] = []
    plain: list[bytes] = []
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with (
        answering("127.0.0.1", upstream(tunnels)) as first,
        answering("127.0.0.1", repeating(whole, plain)) as second,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{first}")
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{second}")
        cloud = CloudProcess(tmp_path).start()
        started.append(cloud)
        monkeypatch.undo()
        with open_tunnel(cloud, "pypi.org:443") as raw:
            raw.sendall(b"hello")
            raw.shutdown(socket.SHUT_WR)
            assert read_all(raw) == b"hello"
        lines = tunnels[0].decode().split("\r\n")
        assert lines[0] == "CONNECT pypi.org:443 HTTP/1.1"
        assert "Proxy-Authorization: Basic bWU6cEBzcw==" in lines
        assert _get(cloud, "http://pypi.org/simple/?x=1").read() == b"ok"
        assert plain[0].startswith(b"GET http://pypi.org/simple/?x=1 HTTP/1.1\r\n")
        # AWS's hosts never leave the machine, and what is this machine is not asked of a proxy either.
        assert cloud.client("sts").get_caller_identity()["Account"] == cloud.account_id
        open_tunnel(cloud, "sts.amazonaws.com:443").close()
        assert b"403" in ask(cloud, b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n")
        assert len(tunnels) == 1


def test_a_refusal_of_the_servers_own_proxy_is_passed_on(
    started: list[CloudProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering("127.0.0.1", upstream([], b"407 Proxy Authentication Required")) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        cloud = CloudProcess(tmp_path).start()
        started.append(cloud)
        answer = ask(cloud, b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"it answers HTTP/1.1 407" in answer
    gone = ask(cloud, b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\n")
    assert b"the server's own proxy 127.0.0.1 cannot be used" in gone


def test_hosts_that_the_servers_own_environment_excepts_are_asked_directly(
    started: list[CloudProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = own_address()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", address)
    cloud = CloudProcess(tmp_path).start()
    started.append(cloud)
    with answering(address, echo) as port, open_tunnel(cloud, f"{address}:{port}") as raw:
        raw.sendall(b"direct")
        raw.shutdown(socket.SHUT_WR)
        assert read_all(raw) == b"direct"


def test_a_server_that_is_its_own_way_out_asks_directly(
    started: list[CloudProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{port}")
    cloud = CloudProcess(tmp_path)
    cloud.port = port
    started.append(cloud.start())
    assert b"is not known" in ask(cloud, b"CONNECT no.such.host.invalid:443 HTTP/1.1\r\n\r\n")


def test_a_server_started_among_its_own_clients_asks_directly(
    started: list[CloudProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment names the proxy of its last run, whose port may have been another."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority" / "bundle.pem"))
    cloud = CloudProcess(tmp_path).start()
    started.append(cloud)
    address = own_address()
    with answering(address, echo) as port, open_tunnel(cloud, f"{address}:{port}") as raw:
        raw.shutdown(socket.SHUT_WR)
        assert read_all(raw) == b""


def test_two_servers_that_are_each_others_way_out_do_not_ask_for_ever(
    started: list[CloudProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    one = CloudProcess(tmp_path / "one").start()
    started.append(one)
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, one.endpoint_url)
    another = CloudProcess(tmp_path / "another")
    another.port = port
    started.append(another.start())
    assert b"it answers HTTP/1.1 502" in ask(one, b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\n")
    assert _get(one, "http://pypi.org/").status == 508
