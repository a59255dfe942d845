"""The environment of clients: which go past the proxy, what wget keeps of the person's own file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sagehound.localcloud.interception.variables import client_variables, wgetrc
from tests.cloud_process import CloudProcess
from tests.interception.support import public_bucket, run, run_python

NODE = shutil.which("node")


def test_jobs_may_have_hosts_of_their_own_that_go_past_the_proxy() -> None:
    told = client_variables("http://127.0.0.1:4566", "/x/bundle.pem", "eu-west-1", direct=["algo-1", "algo-2"])
    assert told["NO_PROXY"] == told["no_proxy"]
    assert told["NO_PROXY"].endswith(",algo-1,algo-2")
    assert told["HTTPS_PROXY"] == told["http_proxy"] == "http://127.0.0.1:4566"
    assert told["WGETRC"] == "/x/wgetrc"
    assert told["AWS_REGION"] == "eu-west-1"


def test_a_cloud_on_another_address_is_itself_asked_directly() -> None:
    assert "192.0.2.7" in client_variables("http://192.0.2.7:4566", "/x", "us-east-1")["NO_PROXY"].split(",")


def test_wget_keeps_what_the_person_says_but_proxies_and_cas() -> None:
    own = (
        "tries = 3\nHTTPS-Proxy = http://old:1\nca_certificate=/old.pem\n# comment\nuse_proxy = off\nuser_agent = me\n"
    )
    assert wgetrc("/x/bundle.pem", own).splitlines() == [
        "tries = 3",
        "# comment",
        "user_agent = me",
        "ca_certificate = /x/bundle.pem",
    ]


def test_the_file_of_wget_is_the_persons_own_and_ours(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".wgetrc").write_text("password = secret\n")
    environment = {**os.environ, "HOME": str(tmp_path / "home")}
    environment.pop("WGETRC", None)
    data_dir = tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, "-m", "sagehound.localcloud.server", "--data-dir", str(data_dir), "--port", "0"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert any("listening on" in line for line in process.stderr)
        file = data_dir / "authority" / "wgetrc"
        assert file.read_text() == f"password = secret\nca_certificate = {data_dir}/authority/bundle.pem\n"
        assert file.stat().st_mode & 0o777 == 0o600
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("program", ["curl", "wget"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_programs_find_the_cloud_in_the_place_of_aws(cloud: CloudProcess, program: str, scheme: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    name = public_bucket(cloud, f"program-{program}-{scheme}", **{"d/f": b"affenpinscher"})
    quiet = ("curl", "-sS") if program == "curl" else ("wget", "-q", "-O", "-")
    for url in (f"{scheme}://s3-us-west-1.amazonaws.com/{name}/d/f", f"{scheme}://{name}.s3.amazonaws.com/d/f"):
        done = run(cloud, *quiet, url)
        assert (done.returncode, done.stdout) == (0, b"affenpinscher"), done.stderr.decode()


def test_programs_ask_the_cloud_itself_directly(cloud: CloudProcess) -> None:
    """NO_PROXY as each of them reads it."""
    text = f"import urllib.request, requests; url = '{cloud.endpoint_url}/_console'\n"
    text += "assert not urllib.request.proxy_bypass('s3.amazonaws.com')\n"
    text += "assert urllib.request.proxy_bypass('127.0.0.1:1') and urllib.request.proxy_bypass('localhost:1')\n"
    text += "assert not requests.utils.get_environ_proxies(url)\n"
    text += "from botocore.utils import get_environ_proxies\n"
    text += "assert not get_environ_proxies(url) and get_environ_proxies('https://s3.amazonaws.com/')\n"
    text += "print('direct')"
    assert run_python(cloud, text) == "direct"
    nobody = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:1")
    for program in (("curl", "-sS", "-i"), ("wget", "-S", "-O", "-")):
        if shutil.which(program[0]) is not None:
            done = run(cloud, *program, f"{cloud.endpoint_url}/_no_such", **nobody)
            assert b"HTTP/1.1 404" in done.stdout + done.stderr, done.stderr.decode()


def test_python_libraries_find_the_cloud_in_the_place_of_aws(cloud: CloudProcess) -> None:
    name = public_bucket(cloud, "libraries", **{"d/f": b"affenpinscher"})
    text = f"url = 'https://{name}.s3.us-west-1.amazonaws.com/d/f'\n"
    text += "import urllib.request, requests, boto3\n"
    text += "print(urllib.request.urlopen(url).read() == requests.get(url).content == b'affenpinscher')\n"
    text += "print(boto3.client('sts').get_caller_identity()['Account'])\n"
    assert run_python(cloud, text).splitlines() == ["True", cloud.account_id]


def test_httpx_reads_the_variables(cloud: CloudProcess) -> None:
    """It refuses to start where NO_PROXY has what it cannot read, as an address in brackets."""
    pytest.importorskip("httpx")
    name = public_bucket(cloud, "httpx", **{"d/f": b"affenpinscher"})
    text = f"import httpx; print(httpx.get('https://{name}.s3.us-west-1.amazonaws.com/d/f').text)"
    assert run_python(cloud, text) == "affenpinscher"


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_node_trusts_the_cloud(cloud: CloudProcess) -> None:
    """node reads no proxy variables before version 22.21; in a tunnel that a program opens it trusts the bundle."""
    text = """
    const http = require('http'), tls = require('tls'), proxy = new URL(process.env.HTTPS_PROXY);
    const host = 'sts.us-east-1.amazonaws.com';
    http.request({host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: host + ':443'})
      .on('connect', (answer, socket) => {
        const secure = tls.connect({socket, servername: host}, () => {
          console.log(answer.statusCode, secure.authorized); secure.destroy();
        });
      }).end();
    """
    assert NODE is not None
    done = run(cloud, NODE, "-e", text)
    assert done.stdout.decode().strip() == "200 true", done.stderr.decode()
