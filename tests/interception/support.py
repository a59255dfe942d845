"""What the tests of the proxy share: clients that know nothing but AWS's own hosts, and raw connections."""

from __future__ import annotations

import configparser
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config

from tests.cloud_process import CloudProcess

SECONDS = 60.0


def client(cloud: CloudProcess, service: str, **options: Any) -> Any:
    """A boto3 client without an endpoint: it asks AWS's hosts, by way of the proxy, and trusts the bundle."""
    config = Config(
        proxies={"https": cloud.endpoint_url, "http": cloud.endpoint_url},
        retries={"max_attempts": 1, "mode": "standard"},
    ).merge(options.pop("config", Config()))
    given: dict[str, Any] = {
        "region_name": cloud.region,
        "aws_access_key_id": cloud.access_key,
        "aws_secret_access_key": cloud.secret_key,
        "verify": str(bundle(cloud)),
        "config": config,
    }
    return boto3.session.Session().client(service, **{**given, **options})


def bundle(cloud: CloudProcess) -> Path:
    """The CAs that clients of this cloud trust."""
    return cloud.data_dir / "authority" / "bundle.pem"


def environment(cloud: CloudProcess, **more: str) -> dict[str, str]:
    """What server.json tells, keys, and nothing of the person's but what programs need to start."""
    told = json.loads((cloud.data_dir / "server.json").read_text())["environment"]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(cloud.data_dir / "credentials")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(cloud.data_dir),
        **told,
        "AWS_ACCESS_KEY_ID": parser["default"]["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": parser["default"]["aws_secret_access_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


def run(cloud: CloudProcess, *command: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """A program in that environment."""
    return subprocess.run(
        command,
        env=environment(cloud, **more),
        capture_output=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def run_python(cloud: CloudProcess, text: str, **more: str) -> str:
    """What a Python script prints in that environment; its traceback fails the test."""
    done = run(cloud, sys.executable, "-c", text, **more)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def public_bucket(cloud: CloudProcess, name: str, **objects: bytes) -> str:
    """A bucket whose objects everybody may read; those below secure/ over TLS only."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.delete_public_access_block(Bucket=name)
    anybody = {"Principal": "*", "Action": "s3:GetObject"}
    statements = [
        {"Effect": "Allow", **anybody, "Resource": f"arn:aws:s3:::{name}/*"},
        {
            "Effect": "Deny",
            **anybody,
            "Resource": f"arn:aws:s3:::{name}/secure/*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    for key, content in objects.items():
        s3.put_object(Bucket=name, Key=key.replace("__", "/"), Body=content)
    return name


def connect(cloud: CloudProcess) -> socket.socket:
    """A raw connection to the cloud's port."""
    return socket.create_connection(("127.0.0.1", cloud.port), timeout=SECONDS)


def ask(cloud: CloudProcess, message: bytes) -> bytes:
    """All that is answered to some bytes, until the connection ends."""
    with connect(cloud) as raw:
        raw.sendall(message)
        return read_all(raw)


def read_all(raw: socket.socket) -> bytes:
    """Until the other side ends."""
    answer = bytearray()
    while piece := raw.recv(65536):
        answer += piece
    return bytes(answer)


def read_head(raw: socket.socket) -> bytes:
    """The head of an answer, byte by byte: what follows it is left."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = raw.recv(1)
        assert byte, f"the connection ended in {bytes(head)!r}"
        head += byte
    return bytes(head)


def open_tunnel(cloud: CloudProcess, asked: str) -> socket.socket:
    """A tunnel that was agreed to; what goes through it is up to the caller."""
    raw = connect(cloud)
    raw.sendall(f"CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n\r\n".encode())
    head = read_head(raw)
    assert head.startswith(b"HTTP/1.1 200 "), head
    return raw


def open_tls(cloud: CloudProcess, host: str, sni: str | None = None) -> ssl.SSLSocket:
    """TLS inside a tunnel, the certificate verified against the bundle."""
    context = ssl.create_default_context(cafile=str(bundle(cloud)))
    return context.wrap_socket(open_tunnel(cloud, f"{host}:443"), server_hostname=sni or host)


def own_address() -> str:
    """An address of this machine that is not loopback, in the place of another machine's."""
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family == socket.AF_INET and not address.address.startswith(("127.", "169.254.")):
                return str(address.address)
    pytest.skip("this machine has no address but loopback")
