"""An endpoint that fetches what its callers name, sent to places that only the machine itself can reach."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.cloud.hosting import Hosting
from tests.cloud_process import CloudProcess

HANDLER = """
import ipaddress, json, socket
from sagehound.classifier import inference

resolve_really, connect_really = socket.getaddrinfo, socket.create_connection
asked, connected = [], []
PUBLIC = "93.184.216.34"

def resolve(host, port, *arguments, **options):
    if not isinstance(host, str) or not host.endswith(".example"):
        return resolve_really(host, port, *arguments, **options)
    asked.append(host)
    both = {"changes.example": [PUBLIC if len(asked) == 1 else "127.0.0.1"], "both.example": [PUBLIC, "127.0.0.1"]}
    return [entry for address in both[host] for entry in resolve_really(address, port, *arguments, **options)]

def connect(address, *arguments, **options):
    if ipaddress.ip_address(address[0]).is_global:
        connected.append(address[0])
        raise ConnectionRefusedError("nobody there")
    return connect_really(address, *arguments, **options)

socket.getaddrinfo, socket.create_connection = resolve, connect

def model_fn(model_dir): return None

def input_fn(data, content_type):
    asked.clear(), connected.clear()
    try:
        return inference.input_fn(data, content_type)
    except ValueError as error:
        raise ValueError(f"{error} (asked {len(asked)} times, connected to {connected})")

def predict_fn(picture, model): return list(picture.size)

def output_fn(prediction, accept): return json.dumps(prediction), "application/json"
"""
"""The classifier's own input_fn in a world where the resolver is the attacker's, and public addresses refuse."""


class Stranger(BaseHTTPRequestHandler):
    """A server on loopback: one that is allowed by name, and one that is not."""

    redirect_to = ""
    seen: list[str] = []

    def do_GET(self) -> None:
        self.seen.append(f"{self.headers['Host']}{self.path}")
        picture = io.BytesIO()
        Image.new("RGB", (3, 2)).save(picture, "PNG")
        self.send_response(302 if self.path == "/redirect" else 200)
        if self.path == "/redirect":
            self.send_header("Location", self.redirect_to)
        self.send_header("Content-Length", str(len(picture.getvalue())))
        self.end_headers()
        self.wfile.write(picture.getvalue())

    def log_message(self, format: str, *args: object) -> None:
        return


def serving() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def allowed() -> Iterator[int]:
    """The port of a server that the endpoint may ask: it stands for one on the Internet."""
    yield from serving()


@pytest.fixture(scope="module")
def hidden() -> Iterator[int]:
    """The port of a server that nobody outside may reach."""
    yield from serving()


class Target:
    """The endpoint under attack."""

    def __init__(self, hosting: Hosting, endpoint: str) -> None:
        self._hosting = hosting
        self._endpoint = endpoint

    def fetch(self, url: str) -> Any:
        """What it answers to a picture's address."""
        body = json.dumps({"url": url})
        return json.loads(self._hosting.invoke(self._endpoint, body, ContentType="application/json"))

    def refusal(self, url: str) -> str:
        """Why it does not fetch; nothing was asked on loopback meanwhile but what `Stranger.seen` holds."""
        with pytest.raises(ClientError) as refused:
            self.fetch(url)
        assert refused.value.response["Error"]["Code"] == "ModelError"
        return str(refused.value.response["OriginalMessage"])


@pytest.fixture(scope="module")
def target(cloud: CloudProcess, allowed: int) -> Iterator[Target]:
    hosting = Hosting(cloud)
    environment = {"SAGEHOUND_ALLOWED_URL_HOSTS": f"127.0.0.1:{allowed}"}
    endpoint = hosting.endpoint("fetching", HANDLER, environment)
    yield Target(hosting, endpoint)
    hosting.delete(endpoint)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Stranger.seen.clear()


def test_what_is_allowed_is_fetched(target: Target, allowed: int) -> None:
    assert target.fetch(f"http://127.0.0.1:{allowed}/picture") == [3, 2]


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "169.254.170.2",
        "[fd00:ec2::254]",
        "[fe80::a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
    ],
)
def test_the_metadata_service(target: Target, host: str) -> None:
    said = target.refusal(f"http://{host}/latest/meta-data/iam/security-credentials/")
    assert "is not at a public address" in said or "cannot be found" in said


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "127.1",
        "127.255.255.254",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_localhost_by_every_name(target: Target, hidden: int, host: str) -> None:
    said = target.refusal(f"http://{host}:{hidden}/picture")
    assert "is not at a public address" in said or "cannot be found" in said
    assert Stranger.seen == []


def test_the_cloud_itself(target: Target, cloud: CloudProcess) -> None:
    before = len(cloud.calls())
    for path in ("", "/_function-url/x/", "/2018-06-01/runtime/invocation/next"):
        assert "is not at a public address" in target.refusal(f"http://127.0.0.1:{cloud.port}{path}")
    assert {call["action"] for call in cloud.calls()[before:]} <= {"sagemaker-runtime:InvokeEndpoint"}


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "ftp://localhost/x", "gopher://localhost:6379/_", "data:,x"])
def test_another_scheme(target: Target, scheme: str) -> None:
    assert "only http and https" in target.refusal(scheme)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://169.254.169.254/latest/", "169.254.169.254 is not at a public address"),
        ("http://localhost:{hidden}/picture", "localhost is not at a public address"),
        ("http://[::ffff:127.0.0.1]:{hidden}/picture", "is not at a public address"),
        ("//2130706433:{hidden}/picture", "is not at a public address"),
        ("http://127.0.0.1:{hidden}/picture", "is not at a public address"),
        ("file:///etc/passwd", "only http and https"),
    ],
)
def test_a_redirect(target: Target, allowed: int, hidden: int, location: str, said: str) -> None:
    Stranger.redirect_to = location.format(hidden=hidden)
    assert said in target.refusal(f"http://127.0.0.1:{allowed}/redirect")
    assert Stranger.seen == [f"127.0.0.1:{allowed}/redirect"]


def test_a_name_that_changes_between_check_and_use(target: Target, hidden: int) -> None:
    """Public when it is looked up, loopback a moment later: the connection goes to the address that was checked."""
    said = target.refusal(f"http://changes.example:{hidden}/picture")
    assert "(asked 1 times, connected to ['93.184.216.34'])" in said
    assert Stranger.seen == []


def test_a_name_with_a_public_and_a_loopback_address(target: Target, hidden: int) -> None:
    said = target.refusal(f"http://both.example:{hidden}/picture")
    assert "both.example is not at a public address" in said
    assert "connected to []" in said
    assert Stranger.seen == []


def test_a_name_inside_a_user_name(target: Target, allowed: int, hidden: int) -> None:
    """Readers of URLs differ about where the host begins."""
    for url in (
        f"http://127.0.0.1:{allowed}@localhost:{hidden}/picture",
        f"http://localhost:{hidden}#@127.0.0.1:{allowed}/picture",
        f"http://localhost:{hidden}\\@127.0.0.1:{allowed}/picture",
    ):
        target.refusal(url)
    assert Stranger.seen == []
