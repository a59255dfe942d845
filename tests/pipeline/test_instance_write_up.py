"""The write-up's EC2 lines, as user data, as they are: its https address is served here, by a proxy."""

from __future__ import annotations

import base64
import datetime
import io
import re
import socket
import socketserver
import ssl
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_console import Console, ConsoleReader
from sagehound.pipeline.instance_machine import find_image, terminate
from sagehound.pipeline.names import Names
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)

HOST = "s3-us-west-1.amazonaws.com"
AS_IN_THE_WRITE_UP = f"""
wget https://{HOST}/udacity-aind/dog-project/dogImages.zip
unzip dogImages.zip
mkdir TrainedModels
"""
AND_THEN = """
source activate PyTorch
python3 solution.py
"""
SOLUTION = """
import pathlib
import numpy as np, torch
from PIL import Image

def split(name):
    files = sorted(pathlib.Path("dogImages", name).glob("*/*.png"))
    labels = sorted({file.parent.name for file in files})
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize((8, 8)), dtype=np.float32) for file in files])
    numbers = [labels.index(file.parent.name) for file in files]
    return torch.from_numpy(pixels.reshape(len(files), -1) / 255), torch.tensor(numbers)

torch.manual_seed(0)
images, labels = split("train")
model = torch.nn.Linear(images.shape[1], int(labels.max()) + 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(100):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
images, labels = split("valid")
accuracy = (model(images).argmax(1) == labels).float().mean().item()
torch.save(model.state_dict(), "TrainedModels/model.pth")
print(f"accuracy={accuracy:.3f} saved={pathlib.Path('TrainedModels/model.pth').stat().st_size}")
"""


class Certificate:
    """A certificate for the write-up's host, signed by itself: the test's machine is told to trust it."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        chain = folder / "certificate.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain.write_bytes(private + self.text.encode())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)


class Served(socketserver.ThreadingTCPServer):
    """A proxy that takes CONNECT to the write-up's host and answers in its place."""

    daemon_threads = True
    asked: list[str]

    def __init__(self, certificate: Certificate, archive: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.certificate, self.archive, self.asked = certificate, archive, []


class Tunnel(socketserver.BaseRequestHandler):
    server: Served

    def handle(self) -> None:
        self.server.asked.append(_head(self.request).split("\r\n")[0])
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with self.server.certificate.context.wrap_socket(self.request, server_side=True) as inner:
            self.server.asked.append(_head(inner).split("\r\n")[0])
            body = self.server.archive
            inner.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)


def _head(connection: socket.socket) -> str:
    read = b""
    while not read.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            break
        read += more
    return read.decode()


@pytest.fixture
def served(pictures: Path, tmp_path: Path) -> Iterator[Served]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(pictures.rglob("*.png")):
            archive.write(path, f"dogImages/{path.relative_to(pictures)}")
    with Served(Certificate(tmp_path), packed.getvalue()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def lines(served: Served) -> str:
    """The write-up's own lines in their order; before them, how this machine reaches the address."""
    proxy = f"http://127.0.0.1:{served.server_address[1]}"
    return "\n".join(
        [
            "#!/bin/bash",
            "cat >ca.pem <<'END'",
            served.certificate.text.rstrip(),
            "END",
            f"export https_proxy={proxy} SSL_CERT_FILE=$PWD/ca.pem WGETRC=$PWD/wgetrc",
            "echo ca_certificate=$PWD/ca.pem >wgetrc",
            AS_IN_THE_WRITE_UP.strip(),
            # In place of vim, :set paste, and :wq!
            "cat >solution.py <<'END'",
            textwrap.dedent(SOLUTION).strip(),
            "END",
            AND_THEN.strip(),
            "ls -l TrainedModels",
            "echo the lines have ended",
            "",
        ]
    )


def test_the_lines_train_on_a_t2_small(clients: Clients, names: Names, served: Served) -> None:
    image_id = find_image(clients, "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 1.13")
    launched = clients.ec2.run_instances(
        ImageId=image_id, InstanceType="t2.small", MinCount=1, MaxCount=1, UserData=lines(served)
    )
    instance_id = launched["Instances"][0]["InstanceId"]
    try:
        console, reader, said = Console(everything=True), ConsoleReader(clients, instance_id), list[str]()

        def have_ended() -> bool:
            said.extend(console.new_lines(reader.window()))
            return "the lines have ended" in said

        wait_for(have_ended, "the lines to end", limit=300.0)
        (found,) = [match for line in said if (match := re.fullmatch(r"accuracy=(\S+) saved=(\d+)", line))]
        assert float(found[1]) > 0.9
        assert int(found[2]) > 1_000
        assert any(re.search(rf"\s{found[2]}\s.*model\.pth$", line) for line in said)
        assert served.asked == [
            f"CONNECT {HOST}:443 HTTP/1.1",
            "GET /udacity-aind/dog-project/dogImages.zip HTTP/1.1",
        ]
        # The user data are what was sent, and the instance goes on when they have ended.
        kept = clients.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")["UserData"]
        assert base64.b64decode(kept["Value"]).decode() == lines(served)
        (status,) = clients.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        assert status["InstanceState"]["Name"] == "running"
    finally:
        ended = terminate(clients, instance_id)
    assert ended is not None
    assert ended.ended
