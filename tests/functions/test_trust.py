"""What clients in a function are given: the cloud as their proxy, CAs that they can read; its own variables count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.functions.bench import Bench

SOURCE = """
import os, pathlib
def lambda_handler(event, context):
    env = os.environ
    texts = {name: pathlib.Path(env[name]).read_text() for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "WGETRC")}
    return {"texts": texts, "env": dict(env)}
"""


async def shown(folder: Path, sandbox: bool, **settings: Any) -> dict[str, Any]:
    bundle = folder / "data" / "bundle.pem"
    bundle.parent.mkdir(mode=0o700)
    bundle.write_text("the CAs\n")
    (bundle.parent / "wgetrc").write_text(f"ca_certificate = {bundle}\n")
    async with Bench(folder, bundle=bundle, sandbox=sandbox, hidden=(bundle.parent,)) as bench:
        await bench.engine.ready()
        if sandbox and not bench.engine.private:
            pytest.skip("this kernel lets nobody have namespaces")
        found: dict[str, Any] = await bench.answer(bench.function(SOURCE, **settings))
        return found


@pytest.mark.parametrize("sandbox", [True, False])
async def test_code_finds_the_proxy_and_can_read_the_authorities(tmp_path, sandbox) -> None:
    found = await shown(tmp_path, sandbox)
    env, texts = found["env"], found["texts"]
    assert texts["SSL_CERT_FILE"] == texts["AWS_CA_BUNDLE"] == "the CAs\n"
    assert env["HTTPS_PROXY"] == env["http_proxy"] == env["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert env["AWS_LAMBDA_RUNTIME_API"].rpartition(":")[0] in env["NO_PROXY"].split(",")
    assert (env["AWS_REGION"], env["AWS_DEFAULT_REGION"]) == ("us-east-1", "us-east-1")
    assert texts["WGETRC"] == f"ca_certificate = {env['SSL_CERT_FILE']}\n"


async def test_the_functions_own_variables_count(tmp_path) -> None:
    found = await shown(tmp_path, True, environment={"HTTPS_PROXY": "http://own:1", "NO_PROXY": "own"})
    assert (found["env"]["HTTPS_PROXY"], found["env"]["NO_PROXY"]) == ("http://own:1", "own")
    assert found["env"]["HTTP_PROXY"] == "http://127.0.0.1:9"
