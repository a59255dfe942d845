"""Pretrained weights: from the data directory, from the real host where that is allowed, or a sentence that helps."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cloud_process import CloudProcess
from tests.conftest import private_cloud
from tests.interception.elsewhere import Elsewhere
from tests.waiting import wait_for

HOST = "download.pytorch.org"


@pytest.fixture(scope="module")
def closed_cloud() -> Iterator[CloudProcess]:
    """A cloud that asks no other host."""
    yield from private_cloud("--other-hosts", "refuse")


def _ask(
    cloud: CloudProcess, path: str, method: str = "GET", host: str = HOST
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=30)
    connection.request(method, path, headers={"Host": host})
    answer = connection.getresponse()
    return answer, answer.read()


def test_weights_in_the_cache_are_answered(closed_cloud: CloudProcess) -> None:
    content = b"weights" * 100_000
    folder = closed_cloud.data_dir / "weights/hub/checkpoints"
    (folder / "tiny-12345678.pth").write_bytes(content)
    answer, body = _ask(closed_cloud, "/models/tiny-12345678.pth")
    assert answer.status == 200
    assert body == content
    # Below other folders of the host too: torch.hub keeps them by their last names.
    assert _ask(closed_cloud, "/models/quantized/tiny-12345678.pth")[1] == content
    answer, body = _ask(closed_cloud, "/models/tiny-12345678.pth", method="HEAD")
    assert answer.headers["Content-Length"] == str(len(content))
    assert body == b""


def test_what_is_missing_is_said_with_the_command_that_adds_it(closed_cloud: CloudProcess) -> None:
    name = "resnet50-0676ba61.pth"
    answer, body = _ask(closed_cloud, f"/models/{name}")
    sentence = f"{name} is not in the weights cache. Add it once: sagehound weights add {name}"
    assert answer.status == 404
    assert body.decode().strip() == sentence
    assert answer.reason == sentence, "what urllib, wget and curl tell"
    # A record follows its answer.
    wait_for(lambda: any(call.get("error") == "NoSuchWeights" for call in closed_cloud.calls()), "the record")


@pytest.mark.parametrize(
    "path", ["/models/..%2f..%2fcloud.sqlite", "/models/", "/models/.hidden", "/models/a%00b", f"/models/{'a' * 300}"]
)
def test_a_path_that_is_no_file_of_weights_leads_nowhere(closed_cloud: CloudProcess, path: str) -> None:
    assert _ask(closed_cloud, path)[0].status == 404


def test_content_that_looks_like_a_head_is_answered_as_it_is(closed_cloud: CloudProcess) -> None:
    content = b"HTTP/1.1 200 OK\r\nreason-phrase: another\r\n\r\nrest"
    (closed_cloud.data_dir / "weights/hub/checkpoints/head.pth").write_bytes(content)
    answer, body = _ask(closed_cloud, "/models/head.pth")
    assert (answer.reason, body) == ("OK", content)


def test_weights_are_read_only(closed_cloud: CloudProcess) -> None:
    assert _ask(closed_cloud, "/models/resnet50-0676ba61.pth", method="PUT")[0].status == 405


def test_other_hosts_have_no_weights(closed_cloud: CloudProcess) -> None:
    (closed_cloud.data_dir / "weights/hub/checkpoints/own.pth").write_bytes(b"mine")
    answer, body = _ask(closed_cloud, "/models/own.pth", host="s3.amazonaws.com")
    assert answer.status != 200
    assert body != b"mine"


def test_nothing_but_weights_is_asked_of_their_host_where_others_are_refused(closed_cloud: CloudProcess) -> None:
    assert _ask(closed_cloud, "/whl/cpu/torch/")[0].status == 403


TORCH = """
import sys, urllib.error, urllib.request
for name in sys.argv[1:]:  # as torch.hub asks
    request = urllib.request.Request(f"https://download.pytorch.org/models/{name}", headers={"User-Agent": "torch.hub"})
    try:
        with urllib.request.urlopen(request) as answer:
            print(len(answer.read()))
    except urllib.error.HTTPError as error:
        print(error)
"""


def test_a_script_finds_them_at_the_hosts_own_address(closed_cloud: CloudProcess) -> None:
    (closed_cloud.data_dir / "weights/hub/checkpoints/small.pth").write_bytes(b"0123456789")
    environment = json.loads((closed_cloud.data_dir / "server.json").read_text())["environment"]
    words = [sys.executable, "-c", TORCH, "small.pth", "vgg19-dcbb9e9d.pth"]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.splitlines() == [
        "10",
        "HTTP Error 404: vgg19-dcbb9e9d.pth is not in the weights cache. "
        "Add it once: sagehound weights add vgg19-dcbb9e9d.pth",
    ]


CONTENT = b"weights" * 100_000
NAME = f"tiny-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """The real host, and the proxy that leads to it."""
    files = {f"/models/{NAME}": CONTENT, "/models/broken-00000000.pth": CONTENT, "/whl/cpu/?a=b%2Fc": b"<a>torch</a>"}
    world = Elsewhere(HOST, tmp_path_factory.mktemp("elsewhere"), files)
    yield world
    world.close()


@pytest.fixture(scope="module")
def open_cloud(elsewhere: Elsewhere) -> Iterator[CloudProcess]:
    """A cloud that reaches the real host by a proxy which its environment names."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_PROXY", "no_proxy", "SSL_CERT_DIR"):
            patch.delenv(name, raising=False)
        for name in ("HTTPS_PROXY", "https_proxy"):
            patch.setenv(name, elsewhere.url)
        patch.setenv("SSL_CERT_FILE", str(elsewhere.certificate))
        yield from private_cloud()


def test_missing_weights_are_fetched_from_the_real_host_once(elsewhere: Elsewhere, open_cloud: CloudProcess) -> None:
    assert _ask(open_cloud, f"/models/{NAME}")[1] == CONTENT
    asked = [("CONNECT", f"{HOST}:443"), ("GET", f"/models/{NAME}")]
    assert elsewhere.asked == asked
    assert _ask(open_cloud, f"/models/{NAME}")[1] == CONTENT
    assert elsewhere.asked == asked
    assert (open_cloud.data_dir / "weights/hub/checkpoints" / NAME).read_bytes() == CONTENT


def test_who_asks_at_the_same_time_waits_for_one_download(elsewhere: Elsewhere, open_cloud: CloudProcess) -> None:
    elsewhere.files["/models/shared.pth"] = CONTENT
    with ThreadPoolExecutor(5) as hosts:
        bodies = [body for _, body in hosts.map(lambda _: _ask(open_cloud, "/models/shared.pth"), range(5))]
    assert bodies == [CONTENT] * 5
    assert elsewhere.asked.count(("GET", "/models/shared.pth")) == 1


def test_what_is_not_what_its_name_says_is_not_kept(open_cloud: CloudProcess) -> None:
    answer, _ = _ask(open_cloud, "/models/broken-00000000.pth")
    assert answer.status == 404
    assert "its SHA-256 begins with" in answer.reason
    assert "sagehound weights add broken-00000000.pth" in answer.reason
    assert not list((open_cloud.data_dir / "weights/hub/checkpoints").glob("*broken*"))


def test_what_the_real_host_has_not_is_said(open_cloud: CloudProcess) -> None:
    answer, _ = _ask(open_cloud, "/models/nowhere.pth")
    assert answer.reason == (
        "nowhere.pth is not in the weights cache. Add it once: sagehound weights add nowhere.pth "
        f"({HOST} has not given it: it answers 404 Not Found)"
    )


def test_what_is_beside_the_weights_is_the_real_hosts_answer(open_cloud: CloudProcess) -> None:
    answer, body = _ask(open_cloud, "/whl/cpu/?a=b%2Fc")
    assert (answer.status, answer.headers["X-From"], body) == (200, "elsewhere", b"<a>torch</a>")
    assert len(answer.headers.get_all("Date", [])) == 1
    answer, body = _ask(open_cloud, "/whl/cpu/?a=b%2Fc", method="HEAD")
    assert (answer.status, answer.headers["X-From"], body) == (200, "elsewhere", b"")


def test_a_cloud_that_is_its_own_way_out_does_not_ask_itself_for_ever(
    own_cloud: CloudProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, own_cloud.endpoint_url)
    monkeypatch.setenv("SSL_CERT_FILE", str(own_cloud.data_dir / "authority/bundle.pem"))
    own_cloud.restart()
    before = len(own_cloud.calls())
    assert _ask(own_cloud, "/models/nowhere.pth")[0].status == 404
    assert len(own_cloud.calls(before + 2)) == before + 2, "the request, and its own once"
