"""The guard against a real HTTP server on the loopback address: refused by default, taken by name, never too much."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sagehound.classifier.url_guard import RefusedUrl, fetch, is_public

BODY = b"the picture's bytes"


class Handler(BaseHTTPRequestHandler):
    """What a stranger's server may do."""

    stop = threading.Event()
    redirect_to = ""
    hosts: list[str] = []

    def do_GET(self) -> None:
        self.hosts.append(self.headers["Host"])
        if self.path == "/redirect":
            self._answer(302, b"", Location=self.redirect_to)
        elif self.path == "/loop":
            self._answer(302, b"", Location="/loop")
        elif self.path == "/relative":
            self._answer(301, b"", Location="picture")
        elif self.path == "/large":
            self._answer(200, b"x" * 5000)
        elif self.path == "/large-unsaid":
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 5000)
        elif self.path == "/short":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\nx")
        elif self.path in ("/drip-header", "/drip-body"):
            self._drip(b"HTTP/1.0 200 OK\r\n" + (b"\r\n" if self.path == "/drip-body" else b"X-Long: "))
        elif self.path == "/missing":
            self._answer(404, b"no")
        else:
            self._answer(200, BODY)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, start: bytes) -> None:
        self.wfile.write(start)
        try:
            while not self.stop.wait(0.02):
                self.wfile.write(b"x")
        except OSError:
            return  # the guard has hung up

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    """host:port of a server on the loopback address."""
    Handler.stop.clear()
    Handler.hosts.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"127.0.0.1:{running.server_port}"
        Handler.stop.set()
        running.shutdown()
        thread.join()


def test_a_loopback_address_is_refused_by_default(server: str) -> None:
    with pytest.raises(RefusedUrl, match=r"127\.0\.0\.1 is not at a public address.*SAGEHOUND_ALLOWED_URL_HOSTS"):
        fetch(f"http://{server}/picture")
    assert Handler.hosts == []


@pytest.mark.parametrize("form", ["localhost", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0"])
def test_no_spelling_of_a_loopback_address_gets_through(server: str, form: str) -> None:
    with pytest.raises(RefusedUrl, match=r"not at a public address|cannot be found"):
        fetch(f"http://{form}:{server.partition(':')[2]}/picture")
    assert Handler.hosts == []


@pytest.mark.parametrize("entry", ["127.0.0.1", "{server}", " 127.0.0.1 "])
def test_a_host_is_allowed_by_name(server: str, entry: str) -> None:
    assert fetch(f"http://{server}/picture", allowed_hosts=["other", entry.format(server=server)]) == BODY


def test_another_port_of_an_allowed_server_is_refused(server: str) -> None:
    with pytest.raises(RefusedUrl, match="not at a public address"):
        fetch(f"http://{server}/picture", allowed_hosts=["127.0.0.1:1"])


def test_a_redirect_is_checked_like_the_first_url(server: str) -> None:
    Handler.redirect_to = f"http://localhost:{server.partition(':')[2]}/picture"
    with pytest.raises(RefusedUrl, match="localhost is not at a public address"):
        fetch(f"http://{server}/redirect", allowed_hosts=["127.0.0.1"])
    Handler.redirect_to = "file:///etc/passwd"
    with pytest.raises(RefusedUrl, match="only http and https"):
        fetch(f"http://{server}/redirect", allowed_hosts=["127.0.0.1"])
    assert Handler.hosts == [server, server]


def test_redirects_are_followed_but_not_for_ever(server: str) -> None:
    assert fetch(f"http://{server}/relative", allowed_hosts=["127.0.0.1"]) == BODY
    with pytest.raises(RefusedUrl, match="redirects more than 5 times"):
        fetch(f"http://{server}/loop", allowed_hosts=["127.0.0.1"])


@pytest.mark.parametrize("path", ["large", "large-unsaid"])
def test_an_answer_that_is_too_large_is_refused(server: str, path: str) -> None:
    with pytest.raises(RefusedUrl, match="larger than 4,999 bytes"):
        fetch(f"http://{server}/{path}", allowed_hosts=["127.0.0.1"], max_bytes=4999)
    assert len(fetch(f"http://{server}/{path}", allowed_hosts=["127.0.0.1"], max_bytes=5000)) == 5000


@pytest.mark.parametrize("path", ["drip-header", "drip-body"])
def test_a_server_that_drips_is_cut_off_at_the_total_time(server: str, path: str) -> None:
    with pytest.raises(RefusedUrl, match=r"did not answer within 0\.3 s"):
        fetch(f"http://{server}/{path}", allowed_hosts=["127.0.0.1"], seconds=0.3)


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RefusedUrl, match=r"did not answer within 0\.3 s"):
            fetch(f"http://127.0.0.1:{port}/", allowed_hosts=["127.0.0.1"], seconds=0.3)


def test_an_answer_that_breaks_off_or_is_no_picture_is_refused(server: str) -> None:
    with pytest.raises(RefusedUrl, match="broke off in the middle"):
        fetch(f"http://{server}/short", allowed_hosts=["127.0.0.1"])
    with pytest.raises(RefusedUrl, match="status 404"):
        fetch(f"http://{server}/missing", allowed_hosts=["127.0.0.1"])
    with pytest.raises(RefusedUrl, match="does not answer as a web server does"):
        fetch(f"https://{server}/picture", allowed_hosts=["127.0.0.1"])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/b",
        "file:///etc/passwd",
        "picture.jpg",
        "http://",
        "http://me:pw@127.0.0.1/",
        "http://[::1",
        "http://a:b/",
    ],
)
def test_what_is_not_a_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(RefusedUrl):
        fetch(url, allowed_hosts=["127.0.0.1", "a"])


def test_a_line_break_in_the_path_cannot_add_a_header(server: str) -> None:
    with pytest.raises(RefusedUrl):
        fetch(f"http://{server}/a b", allowed_hosts=["127.0.0.1"])
    assert fetch(f"http://{server}/hündchen", allowed_hosts=["127.0.0.1"]) == BODY
    with pytest.raises(RefusedUrl, match=r"xn--hndchen-n2a\.invalid cannot be found"):
        fetch("http://hündchen.invalid/")


def test_the_checked_address_is_the_one_that_is_called(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is resolved once; what it resolves to afterwards does not matter."""
    real = socket.getaddrinfo
    asked: list[str] = []

    def resolve(host: str, *arguments: object, **options: object) -> object:
        asked.append(host)
        return real("127.0.0.1" if host == "pictures.example" else host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = server.partition(":")[2]
    assert fetch(f"http://pictures.example:{port}/picture", allowed_hosts=["pictures.example"]) == BODY
    assert asked.count("pictures.example") == 1
    assert Handler.hosts == [f"pictures.example:{port}"]
    with pytest.raises(RefusedUrl, match=r"pictures\.example is not at a public address"):
        fetch(f"http://pictures.example:{port}/picture")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("127.9.9.9", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public
