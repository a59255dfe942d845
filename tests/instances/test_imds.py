"""The metadata service: tokens, listings, the role's keys, as IMDSv2 answers; by hand, with curl, and with botocore."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sagehound.localcloud.instances import tokens, tree
from sagehound.localcloud.instances.imds import BODY_LIMIT, HEAD_LIMIT, MetadataService, new_listener
from sagehound.localcloud.instances.spec import InstanceSpec, MetadataOptions

from .conftest import Lab
from .facts import Facts

SECRET = b"s" * 32
TTL, TOKEN = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"


@dataclass
class Service:
    """A service that listens, and a client."""

    port: int
    facts: Facts = field(default_factory=Facts)

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        return await asyncio.to_thread(self._ask, path, method, {k.replace("_", "-"): v for k, v in headers.items()})

    def _ask(self, path: str, method: str, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, dict(answer.getheaders())

    async def get(self, path: str) -> tuple[int, str]:
        """With a token of its own."""
        _status, token, _headers = await self.ask("/latest/api/token", "PUT", **{TTL: "60"})
        return (await self.ask(path, **{TOKEN: token}))[:2]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    spec = Lab(tmp_path).spec("#!/bin/sh\necho x\n", public_keys=("ssh-ed25519 AAAAC3 my-key", "ssh-rsa AAAAB3"))
    async for made in served(spec):
        yield made


async def served(spec: InstanceSpec, host: str | None = None) -> AsyncIterator[Service]:
    listener = new_listener()
    made = Service(listener.getsockname()[1])
    server = MetadataService(spec, made.facts, SECRET, host)
    await server.listen(listener)
    yield made
    server.close()


async def test_without_a_token_only_where_the_options_allow_it(service: Service) -> None:
    assert (await service.ask("/latest/meta-data/instance-id"))[0] == 401
    service.facts.given = MetadataOptions(http_tokens="optional")
    assert (await service.ask("/latest/meta-data/instance-id"))[:2] == (200, "i-0a1")
    assert (await service.ask("/latest/meta-data/instance-id", **{TOKEN: "wrong"}))[0] == 401
    service.facts.given = MetadataOptions(http_endpoint="disabled")
    assert (await service.ask("/latest/meta-data/instance-id"))[0] == 403


async def test_a_token_has_its_time(service: Service) -> None:
    status, token, headers = await service.ask("/latest/api/token", "PUT", **{TTL: "21600"})
    assert (status, headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"]) == (200, "21600")
    assert (await service.ask("/latest/meta-data/instance-id", **{TOKEN: token}))[:2] == (200, "i-0a1")
    expired = tokens.issue(SECRET, time.time() - 61, 60)
    assert (await service.ask("/latest/meta-data/instance-id", **{TOKEN: expired}))[0] == 401
    another = tokens.issue(b"x" * 32, time.time(), 60)
    assert (await service.ask("/latest/meta-data/instance-id", **{TOKEN: another}))[0] == 401


@pytest.mark.parametrize("ttl", ["0", "21601", "-1", "many", "", "²"])
async def test_a_token_for_another_time_is_refused(service: Service, ttl: str) -> None:
    headers = {TTL: ttl.encode().decode("latin-1")}
    assert (await service.ask("/latest/api/token", "PUT", **headers))[0] == 400


async def test_a_token_is_put_and_not_through_a_proxy(service: Service) -> None:
    assert (await service.ask("/latest/api/token", "PUT"))[0] == 400
    assert (await service.ask("/latest/api/token", "GET"))[0] == 405
    headers = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}
    assert (await service.ask("/latest/api/token", "PUT", **headers))[0] == 403
    assert (await service.ask("/latest/meta-data/", "POST"))[0] == 405


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "1.0\nlatest"),
        ("/latest", "dynamic/\nmeta-data/\nuser-data"),
        ("/latest/meta-data/", "iam/\ninstance-id\nplacement/\npublic-keys/"),
        ("/latest/meta-data", "iam/\ninstance-id\nplacement/\npublic-keys/"),
        ("//latest/meta-data/placement/region", "us-east-1"),
        ("/2021-03-23/meta-data/placement/", "availability-zone\nregion"),
        ("/latest/meta-data/iam/", "info\nsecurity-credentials/"),
        ("/latest/meta-data/iam/security-credentials/", "trainer"),
        ("/latest/meta-data/public-keys/", "0=my-key\n1=key"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/1/openssh-key", "ssh-rsa AAAAB3"),
        ("/latest/user-data", "#!/bin/sh\necho x\n"),
        ("/latest/dynamic/instance-identity/document", '{"instanceId": "i-0a1"}'),
    ],
)
async def test_documents_and_listings(service: Service, path: str, expected: str) -> None:
    assert await service.get(path) == (200, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/nothing",
        "/latest/meta-data/public-keys/7",
        "/v3/meta-data",
        "/latest/meta-data/iam/security-credentials/other",
    ],
)
async def test_what_is_not_there(service: Service, path: str) -> None:
    status, page = await service.get(path)
    assert status == 404
    assert "<h1>404 - Not Found</h1>" in page


async def test_without_a_role(service: Service) -> None:
    service.facts.role = None
    assert (await service.get("/latest/meta-data/iam/security-credentials/"))[0] == 404


async def test_another_name_is_another_instances(tmp_path: Path) -> None:
    async for service in served(Lab(tmp_path).spec(), "imds-secret:80"):
        assert (await service.ask("/latest/api/token", "PUT", **{TTL: "60"}))[0] == 403
        good = await service.ask("/latest/api/token", "PUT", **{TTL: "60", "Host": "imds-secret:80"})
        assert good[0] == 200


async def test_bytes_that_are_no_request(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"\x00\x01nonsense\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_a_head_has_a_limit(service: Service) -> None:
    assert (await service.ask("/latest/meta-data/instance-id", **{"X-Long": "x" * 12_000}))[0] == 401
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    start = b"GET / HTTP/1.1\r\nX-Long: "
    writer.write(start + b"x" * (HEAD_LIMIT + 1 - len(start)))
    assert (await reader.read()).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    writer.close()


async def test_what_follows_a_head_has_a_limit(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    start = b"PUT /latest/api/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: "
    writer.write(start + b"x" * (HEAD_LIMIT + BODY_LIMIT + 1 - len(start)))
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_many_small_requests_on_one_connection(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    number = 2 * (HEAD_LIMIT + BODY_LIMIT) // 18
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * number + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).count(b"HTTP/1.1 401 ") == number + 1
    writer.close()


async def test_another_protocol_is_not_gone_over_to(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    answer = await reader.read()
    assert (answer.startswith(b"HTTP/1.1 401 "), answer.count(b"HTTP/1.1 ")) == (True, 1)
    writer.close()


async def test_a_mistake_of_ours_is_logged_and_is_not_the_clients(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.facts.given = None  # type: ignore[assignment]
    assert (await service.ask("/latest/meta-data/instance-id"))[0] == 500
    (logged,) = caplog.records
    assert "cannot answer GET /latest/meta-data/instance-id" in logged.getMessage()
    assert logged.exc_info is not None
    service.facts.given = MetadataOptions()
    assert (await service.get("/latest/meta-data/instance-id"))[0] == 200


def test_lookup() -> None:
    given: tree.Tree = {"a": {"b": "1", "c": {"d": "2"}}}
    assert [tree.lookup(given, path) for path in ("", "a/", "a/c/d", "a/b/x", "x")] == ["a/", "b\nc/", "2", None, None]


async def test_curl_and_botocore_on_an_instance(lab: Lab) -> None:
    handle = await lab.boot(lab.spec())
    done, said = await lab.sh(
        handle,
        """
        set -e
        BASE=$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest
        TOKEN=$(curl -sf -X PUT $BASE/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 60")
        curl -sf -H "X-aws-ec2-metadata-token: $TOKEN" $BASE/meta-data/instance-id; echo
        curl -s -o /dev/null -w '%{http_code}\\n' $BASE/meta-data/instance-id
        ec2-metadata -z
        source activate PyTorch
        python3 - <<'END'
        import boto3
        found = boto3.Session().get_credentials()
        print(found.method, found.access_key, found.token)
        END
        """,
    )
    assert (done.code, said.split("\n")[:-1]) == (
        0, ["i-0a1", "401", "placement: us-east-1a", "iam-role ASIAEXAMPLE session"],
    )  # fmt: skip
