"""What a client may try: the proxy refuses it, or ends the connection, and goes on answering everybody else."""

from __future__ import annotations

import socket
import ssl
import struct
import uuid

import pytest

from tests.cloud_process import CloudProcess
from tests.interception.another_machine import answering, echo
from tests.interception.support import (
    ask,
    bundle,
    connect,
    open_tls,
    open_tunnel,
    own_address,
    public_bucket,
    read_all,
    read_head,
)

STS = "sts.us-east-1.amazonaws.com"


@pytest.fixture(autouse=True)
def it_still_answers(cloud: CloudProcess) -> object:
    yield
    with open_tls(cloud, STS) as secure:
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {STS}\r\nConnection: close\r\n\r\n".encode())
        assert read_all(secure).startswith(b"HTTP/1.1 403 ")


@pytest.fixture(scope="module")
def two_buckets(cloud: CloudProcess) -> tuple[str, str]:
    first, second = (f"smuggled-{uuid.uuid4().hex[:8]}" for _ in range(2))
    public_bucket(cloud, first, key=b"of the first")
    public_bucket(cloud, second, key=b"of the second")
    return first, second


def test_this_machine_is_not_reached_through_the_proxy(cloud: CloudProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "[::1]", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"):
            for message in (f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n", f"GET http://{host}:{port}/ HTTP/1.1\r\n\r\n"):
                answer = ask(cloud, message.encode())
                assert answer.startswith(b"HTTP/1.1 403 "), (host, answer)
                assert b"NO_PROXY" in answer
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_name_that_only_resolves_to_this_machine_is_refused_too(cloud: CloudProcess) -> None:
    name = next(
        (name for name in (socket.gethostname(), "ip6-localhost", "localhost.localdomain") if _is_here(name)), ""
    )
    if not name:
        pytest.skip("this machine has no other name that resolves to loopback")
    assert ask(cloud, f"CONNECT {name}:22 HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 403 ")


def _is_here(name: str) -> bool:
    try:
        found = socket.getaddrinfo(name, 22, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(entry[4][0] in ("127.0.0.1", "127.0.1.1", "::1") for entry in found)


def test_the_cloud_itself_is_asked_directly_or_by_a_client_without_no_proxy(cloud: CloudProcess) -> None:
    refused = ask(cloud, f"CONNECT 127.0.0.1:{cloud.port} HTTP/1.1\r\n\r\n".encode())
    assert refused.startswith(b"HTTP/1.1 403 ")
    for host in ("127.0.0.1", "localhost"):
        url = f"http://{host}:{cloud.port}/"
        answer = ask(cloud, f"GET {url} HTTP/1.1\r\nHost: {host}:{cloud.port}\r\nConnection: close\r\n\r\n".encode())
        assert b"AccessDenied" in answer


@pytest.mark.parametrize(
    "target",
    [
        *("s3.amazonaws.com", "s3.amazonaws.com:", "s3.amazonaws.com:x", "s3.amazonaws.com:99999", ":443", "/", "*"),
        *("user:password@s3.amazonaws.com:443", "http://s3.amazonaws.com:443", "[::1:443", "a..b:443", "%00:443"),
    ],
)
def test_a_connect_that_names_nobody_is_refused(cloud: CloudProcess, target: str) -> None:
    assert ask(cloud, f"CONNECT {target} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 400 ")


def test_other_ports_of_aws_are_nobody(cloud: CloudProcess) -> None:
    answer = ask(cloud, b"CONNECT mydb.abc.us-east-1.rds.amazonaws.com:3306 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"ports 80 and 443" in answer


def test_a_head_that_does_not_end_is_cut_off(cloud: CloudProcess) -> None:
    with connect(cloud) as raw:
        raw.sendall(b"CONNECT s3.amazonaws.com:443 HTTP/1.1\r\n")
        answer = b""
        try:
            for _ in range(100):
                raw.sendall(b"X: " + b"x" * 8000 + b"\r\n")
            answer = raw.recv(1000)
        except (ConnectionResetError, BrokenPipeError):
            return  # it was cut off while more was being sent
        assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""


def test_a_long_name_is_refused(cloud: CloudProcess) -> None:
    answer = ask(cloud, b"CONNECT " + b"a" * 30_000 + b".amazonaws.com:443 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_connect_in_pieces_is_understood(cloud: CloudProcess) -> None:
    with connect(cloud) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in f"CONNECT {STS}:443 HTTP/1.0\r\nHost: x\r\n\r\n".encode():
            raw.sendall(bytes([byte]))
        assert read_head(raw).startswith(b"HTTP/1.1 200 ")


def test_nothing_may_follow_connect_before_its_answer(cloud: CloudProcess) -> None:
    for tail in (b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n"):
        answer = ask(cloud, f"CONNECT {STS}:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n".encode() + tail)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1


def test_connect_may_follow_a_request_that_was_answered(cloud: CloudProcess) -> None:
    with connect(cloud) as raw:
        raw.sendall(f"HEAD /bucket/key HTTP/1.1\r\nHost: 127.0.0.1:{cloud.port}\r\n\r\n".encode())
        assert read_head(raw).split(b" ")[1] in (b"403", b"404")
        raw.sendall(f"CONNECT {STS}:443 HTTP/1.1\r\n\r\n".encode())
        assert read_head(raw).startswith(b"HTTP/1.1 200 ")


def test_connect_behind_a_request_in_progress_is_refused(cloud: CloudProcess) -> None:
    unfinished = f"GET / HTTP/1.1\r\nHost: x\r\n\r\nCONNECT {STS}:443 HTTP/1.1\r\n\r\n".encode()
    assert b"HTTP/1.1 200 " not in ask(cloud, unfinished)


def test_a_tunnel_in_a_tunnel_is_refused(cloud: CloudProcess) -> None:
    with open_tls(cloud, STS) as secure:
        secure.sendall(b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\n")
        assert read_all(secure).startswith(b"HTTP/1.1 405 ")


def test_a_name_inside_tls_that_is_not_the_tunnels_is_not_certified(cloud: CloudProcess) -> None:
    for name in ("iam.amazonaws.com", "example.com", "localhost"):
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            open_tls(cloud, STS, sni=name)


def test_tls_without_a_name_is_served(cloud: CloudProcess) -> None:
    context = ssl.create_default_context(cafile=str(bundle(cloud)))
    context.check_hostname = False
    with context.wrap_socket(open_tunnel(cloud, f"{STS}:443")) as secure:
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {STS}\r\nConnection: close\r\n\r\n".encode())
        assert read_all(secure).startswith(b"HTTP/1.1 403 ")


def test_old_tls_is_refused(cloud: CloudProcess) -> None:
    context = ssl.create_default_context(cafile=str(bundle(cloud)))
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(OSError):
        context.wrap_socket(open_tunnel(cloud, f"{STS}:443"), server_hostname=STS)


@pytest.mark.parametrize(
    "noise",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"\0", b"\x15\x03\x03\x00\x02\x02\x28", b""],
)
def test_what_is_not_tls_ends_the_tunnel(cloud: CloudProcess, noise: bytes) -> None:
    with open_tunnel(cloud, f"{STS}:443") as raw:
        try:
            raw.sendall(noise)
            raw.shutdown(socket.SHUT_WR)
            answer = read_all(raw)
        except (ConnectionResetError, BrokenPipeError, OSError):
            return
        assert not answer.startswith(b"HTTP/")


def test_a_client_that_resets_in_the_midst_of_tls_harms_nobody(cloud: CloudProcess) -> None:
    for stage in range(3):
        raw = open_tunnel(cloud, f"{STS}:443")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if stage == 1:
            raw.sendall(_client_hello()[:40])
        elif stage == 2:
            raw.sendall(_client_hello())
        raw.close()
    secure = open_tls(cloud, STS)
    secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    secure.sendall(f"GET / HTTP/1.1\r\nHost: {STS}\r\n".encode())
    secure.close()


def _client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=STS)
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    return outgoing.read()


def test_the_host_of_the_first_line_is_the_one_that_counts(cloud: CloudProcess, two_buckets: tuple[str, str]) -> None:
    first, second = two_buckets
    for hosts in (f"Host: {second}.s3.amazonaws.com\r\n", f"Host: {second}.s3.amazonaws.com\r\n" * 2, ""):
        message = f"GET http://{first}.s3.amazonaws.com/key HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n"
        assert ask(cloud, message.encode()).endswith(b"\r\n\r\nof the first")


def test_the_host_of_the_first_line_is_somebody_elses_where_host_is_ours(cloud: CloudProcess) -> None:
    address = own_address()
    with answering(address, echo) as port:
        for host in (f"127.0.0.1:{cloud.port}", "s3.amazonaws.com"):
            message = f"GET http://{address}:{port}/_sagehound/credentials HTTP/1.1\r\nHost: {host}\r\n\r\n"
            with connect(cloud) as raw:
                raw.sendall(message.encode())
                raw.shutdown(socket.SHUT_WR)
                assert b"AccessDenied" not in read_all(raw)


def test_a_tunnel_is_for_its_own_host(cloud: CloudProcess, two_buckets: tuple[str, str]) -> None:
    first, second = (f"{name}.s3.amazonaws.com" for name in two_buckets)
    for url, status in (
        (f"https://{first}/key", b"200"),
        (f"https://{second}/key", b"421"),
        (f"http://{first}/key", b"421"),
    ):
        with open_tls(cloud, first) as secure:
            secure.sendall(f"GET {url} HTTP/1.1\r\nHost: {first}\r\nConnection: close\r\n\r\n".encode())
            assert read_all(secure).split(b" ")[1] == status


@pytest.mark.parametrize(
    "url",
    [
        *("http://user:password@s3.amazonaws.com/", "http:///key", "http://s3.amazonaws.com:x/", "ftp://example.com/f"),
        *("https://s3.amazonaws.com/bucket/key", "http://[::1/", "http://a..b/", "http://s3.amazonaws.com\\@evil/"),
    ],
)
def test_a_first_line_that_names_nobody_is_refused(cloud: CloudProcess, url: str) -> None:
    answer = ask(cloud, f"GET {url} HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"password" not in answer


def test_a_client_of_http_1_0_needs_no_host_in_a_tunnel(cloud: CloudProcess, two_buckets: tuple[str, str]) -> None:
    with open_tls(cloud, f"{two_buckets[0]}.s3.amazonaws.com") as secure:
        secure.sendall(b"GET /key HTTP/1.0\r\n\r\n")
        assert read_all(secure).endswith(b"of the first")


def test_plain_http_in_a_tunnel_to_port_80_is_served(cloud: CloudProcess, two_buckets: tuple[str, str]) -> None:
    with open_tunnel(cloud, f"{two_buckets[0]}.s3.amazonaws.com:80") as raw:
        raw.sendall(
            f"GET /key HTTP/1.1\r\nHost: {two_buckets[0]}.s3.amazonaws.com\r\nConnection: close\r\n\r\n".encode()
        )
        assert read_all(raw).endswith(b"of the first")


def test_a_server_stops_in_spite_of_its_tunnels(own_cloud: CloudProcess) -> None:
    address = own_address()
    with answering(address, echo) as port:
        opened = [open_tunnel(own_cloud, f"{STS}:443"), open_tunnel(own_cloud, f"{address}:{port}")]
        opened += [open_tls(own_cloud, STS), connect(own_cloud)]
        # Who asks for a host that does not answer has a tunnel that is only being opened.
        waiting = connect(own_cloud)
        waiting.sendall(b"CONNECT 192.0.2.254:9 HTTP/1.1\r\n\r\n")
        opened.append(waiting)
        assert own_cloud.stop() == 0
        for raw in opened:
            with raw:
                try:
                    read_all(raw)
                except (ConnectionResetError, ssl.SSLError):
                    continue
    log = own_cloud.log()
    assert "Traceback" not in log
    assert "ERROR" not in log


def test_the_log_has_no_traceback_of_all_this(cloud: CloudProcess) -> None:
    """It runs last in this file, on the server that all of the above was done to."""
    assert "Traceback" not in cloud.log()
