"""What clients on an instance are given: the cloud as their proxy, CAs that they can read, ways past it to itself."""

from __future__ import annotations

import json

from sagehound.localcloud.interception.variables import bundle_of

from .conftest import Lab

SHOWN = """
import json, os, pathlib
env = os.environ
texts = {name: pathlib.Path(env[name]).read_text() for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "WGETRC")}
print(json.dumps({"texts": texts, "env": dict(env)}))
"""


async def test_programs_find_the_proxy_and_can_read_the_authorities(lab: Lab) -> None:
    bundle = bundle_of(lab.data_dir)
    bundle.parent.mkdir(parents=True)
    bundle.write_text("the CAs\n")
    bundle.chmod(0o600)
    spec = lab.spec()
    handle = await lab.boot(spec, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    done, said = await lab.sh(handle, f"python3 - <<'END'\n{SHOWN}END\n")
    assert done.code == 0, said
    found = json.loads(said)
    env, texts = found["env"], found["texts"]
    assert texts["SSL_CERT_FILE"] == texts["AWS_CA_BUNDLE"] == "the CAs\n"
    assert texts["WGETRC"] == f"ca_certificate = {env['SSL_CERT_FILE']}\n"
    assert env["HTTPS_PROXY"] == env["http_proxy"] == "http://127.0.0.1:9"
    assert not {"AWS_REGION", "AWS_DEFAULT_REGION"} & set(env)
    past = env["NO_PROXY"].split(",")
    metadata = env["AWS_EC2_METADATA_SERVICE_ENDPOINT"].removeprefix("http://").rpartition(":")[0]
    assert {"127.0.0.1", "169.254.169.254", metadata, spec.hostname, spec.private_ip} <= set(past)
    # The proxy answers nobody here, so what is told has come past it.
    service = "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest"
    header = "X-aws-ec2-metadata-token"
    _, token = await lab.sh(handle, f"curl -sS -X PUT -H '{header}-ttl-seconds: 60' {service}/api/token")
    _, listing = await lab.sh(handle, f"curl -sS -H '{header}: {token}' {service}/meta-data/")
    assert "instance-id" in listing


async def test_an_engine_without_a_proxy_gives_none(lab: Lab) -> None:
    handle = await lab.boot(lab.spec(), AWS_ENDPOINT_URL="http://127.0.0.1:9")
    _, said = await lab.sh(handle, 'echo "[$HTTPS_PROXY$SSL_CERT_FILE$WGETRC]"; ls /opt/sagehound')
    assert "[]" in said
    assert "authority" not in said
